#include "net/segmentation.h"

#include "net/checksum.h"
#include "net/headers.h"

#include <algorithm>

namespace eremite::net {

bool complete_checksum(Packet& packet)
{
    PacketOffload& offload = packet.offload();
    u32 start = offload.checksum_start;
    u32 field = start + offload.checksum_offset;
    if (field + 2 > packet.length() || !packet.make_contiguous(field + 2))
        return false;
    Checksum sum;
    sum.add(packet, start, packet.length() - start);
    u16 value = static_cast<u16>(~sum.partial());
    // In UDP, zero means "no checksum"; its other representation is sent (RFC 768).
    if (value == 0)
        value = 0xffff;
    *header_at<Be16>(packet.head(), field) = Be16::from_raw(value);
    offload.needs_checksum = false;
    return true;
}

namespace {

/// Fixes the headers of one piece: lengths, IP identification, TCP sequence and flags, pseudo-header sum.
bool fix_headers(std::span<u8> headers, const PacketOffload& offload, u32 offset, u32 length, u32 index, bool last)
{
    bool v4 = offload.segmentation == Segmentation::Tcp4 || offload.segmentation == Segmentation::Udp4;
    bool tcp = offload.segmentation == Segmentation::Tcp4 || offload.segmentation == Segmentation::Tcp6;
    auto packet = headers.subspan(sizeof(EthernetHeader));
    IpAddress source;
    IpAddress destination;
    if (v4) {
        auto* ip = header_at<Ipv4Header>(packet);
        if (!ip)
            return false;
        ip->total_length = static_cast<u16>(packet.size() + length);
        ip->identification = static_cast<u16>(ip->identification + index);
        ip->checksum = 0;
        ip->checksum = checksum_of(packet.first(std::min(ip->header_length(), packet.size())));
        source = IpAddress::v4(ip->source);
        destination = IpAddress::v4(ip->destination);
    } else {
        auto* ip = header_at<Ipv6Header>(packet);
        if (!ip)
            return false;
        ip->payload_length = static_cast<u16>(packet.size() - sizeof(Ipv6Header) + length);
        source = IpAddress::from_wire(ip->source);
        destination = IpAddress::from_wire(ip->destination);
    }
    u32 transport_length = static_cast<u32>(headers.size()) - offload.checksum_start + length;
    Checksum sum;
    sum.add_pseudo_header(source, destination, tcp ? Protocol::Tcp : Protocol::Udp, transport_length);
    if (tcp) {
        auto* header = header_at<TcpHeader>(headers, offload.checksum_start);
        if (!header)
            return false;
        header->sequence = header->sequence + offset;
        if (!last)
            header->flags &= static_cast<u8>(~(TcpHeader::k_fin | TcpHeader::k_psh));
        header->checksum = Be16::from_raw(sum.partial());
    } else {
        auto* header = header_at<UdpHeader>(headers, offload.checksum_start);
        if (!header)
            return false;
        header->length = static_cast<u16>(transport_length);
        header->checksum = Be16::from_raw(sum.partial());
    }
    return true;
}

} // namespace

Result<PacketList> segment(Packet& packet)
{
    const PacketOffload offload = packet.offload();
    u32 header_length = offload.header_length;
    if (header_length < sizeof(EthernetHeader) || header_length >= packet.length() || offload.segment_size == 0
        || offload.checksum_start < sizeof(EthernetHeader) || offload.checksum_start >= header_length
        || !packet.make_contiguous(header_length))
        return Errno::EINVAL;
    PacketList result;
    u32 payload = packet.length() - header_length;
    u32 index = 0;
    for (u32 offset = 0; offset < payload; offset += offload.segment_size, ++index) {
        u32 length = std::min<u32>(offload.segment_size, payload - offset);
        Packet piece = TRY(packet.share(header_length + offset, length));
        auto headers = piece.prepend(header_length);
        if (headers.empty())
            return Errno::ENOMEM;
        std::ranges::copy(packet.head().first(header_length), headers.begin());
        if (!fix_headers(headers, offload, offset, length, index, offset + length == payload))
            return Errno::EINVAL;
        piece.offload().needs_checksum = true;
        piece.offload().checksum_start = offload.checksum_start;
        piece.offload().checksum_offset = offload.checksum_offset;
        result.push_back(std::move(piece));
    }
    return result;
}

} // namespace eremite::net
