// IPv4 and IPv6 in and out: header checks, fragmentation, delivery to the transports (RFC 791, 1122, 8200).
#include "net/ip.h"

#include "net/checksum.h"
#include "net/stack.h"

namespace eremite::net {

void Stack::ReassemblyTimer::expire(Nanoseconds now)
{
    stack.m_statistics.ip_reassembly_timeouts.add(stack.m_reassembly.expire(now));
    if (!stack.m_reassembly.is_empty())
        stack.arm(*this, now + Nanoseconds::from_seconds(1));
}

void Stack::receive_ipv4(Interface& interface, Packet packet)
{
    m_statistics.ip_in_receives.add();
    if (!packet.make_contiguous(sizeof(Ipv4Header)))
        return m_statistics.ip_in_header_errors.add();
    auto* ip = header_at<Ipv4Header>(packet.head());
    usize header_length = ip->header_length();
    u32 total = ip->total_length;
    if ((ip->version_and_length >> 4) != 4 || header_length < sizeof(Ipv4Header) || total < header_length
        || total > packet.length())
        return m_statistics.ip_in_header_errors.add();
    if (header_length > sizeof(Ipv4Header)) {
        if (!packet.make_contiguous(static_cast<u32>(header_length)))
            return m_statistics.ip_in_header_errors.add();
        ip = header_at<Ipv4Header>(packet.head());
    }
    Checksum sum;
    sum.add(packet.head().first(header_length));
    if (!sum.is_valid())
        return m_statistics.ip_in_header_errors.add();
    if (total < packet.length())
        packet.truncate(total); // Ethernet's padding
    IpInfo info {
        .interface = &interface,
        .source = IpAddress::v4(ip->source),
        .destination = IpAddress::v4(ip->destination),
        .protocol = ip->protocol,
        .hop_limit = ip->ttl,
        .traffic_class = ip->traffic_class,
        .header_length = static_cast<u16>(header_length),
    };
    if (!interface.accepts(info.destination) || info.source.is_multicast() || info.source.is_limited_broadcast()
        || (!interface.is_loopback() && (info.source.is_loopback() || info.destination.is_loopback())))
        return m_statistics.ip_in_address_errors.add();
    info.to_many = info.destination.is_multicast() || interface.is_broadcast(info.destination);
    u16 fragment = ip->fragment;
    if ((fragment & (Ipv4Header::k_offset_mask | Ipv4Header::k_more_fragments)) != 0) {
        u32 identification = ip->identification;
        return reassemble(info, std::move(packet), identification, (fragment & Ipv4Header::k_offset_mask) * 8u,
            (fragment & Ipv4Header::k_more_fragments) != 0);
    }
    deliver(info, std::move(packet));
}

void Stack::receive_ipv6(Interface& interface, Packet packet)
{
    m_statistics.ip_in_receives.add();
    if (!packet.make_contiguous(sizeof(Ipv6Header)))
        return m_statistics.ip_in_header_errors.add();
    auto* ip = header_at<Ipv6Header>(packet.head());
    u32 length = sizeof(Ipv6Header) + ip->payload_length;
    if ((ip->version_class_flow >> 28) != 6 || length > packet.length())
        return m_statistics.ip_in_header_errors.add();
    if (length < packet.length())
        packet.truncate(length);
    IpInfo info {
        .interface = &interface,
        .source = IpAddress::from_wire(ip->source),
        .destination = IpAddress::from_wire(ip->destination),
        .protocol = ip->next_header,
        .hop_limit = ip->hop_limit,
        .traffic_class = ip->traffic_class(),
        .header_length = sizeof(Ipv6Header),
    };
    // A mapped address has no business on the wire (RFC 4038, 4.2).
    if (info.source.is_v4() || info.destination.is_v4() || info.source.is_multicast()
        || !interface.accepts(info.destination)
        || (!interface.is_loopback() && (info.source.is_loopback() || info.destination.is_loopback())))
        return m_statistics.ip_in_address_errors.add();
    info.to_many = info.destination.is_multicast();

    // Extension headers; eight are more than anybody needs.
    for (int count = 0; count < 8; ++count) {
        struct Extension {
            Protocol next;
            u8 length;
        };
        switch (info.protocol) {
        case Protocol::HopByHop:
        case Protocol::DestinationOptions:
        case Protocol::Routing: {
            if (!packet.make_contiguous(info.header_length + 8u))
                return m_statistics.ip_in_header_errors.add();
            Extension extension = *header_at<Extension>(packet.head(), info.header_length);
            if (info.protocol == Protocol::Routing) {
                auto* segments_left = header_at<u8>(packet.head(), info.header_length + 3u);
                if (*segments_left != 0) // we are no router, and type 0 is forbidden (RFC 5095)
                    return send_icmp_error(info, std::move(packet), IcmpError::BadHeader);
            }
            u32 end = info.header_length + 8u + extension.length * 8u;
            if (end > packet.length() || !packet.make_contiguous(end))
                return m_statistics.ip_in_header_errors.add();
            info.protocol = extension.next;
            info.header_length = static_cast<u16>(end);
            continue;
        }
        case Protocol::Fragment: {
            if (!packet.make_contiguous(info.header_length + static_cast<u32>(sizeof(Ipv6Fragment))))
                return m_statistics.ip_in_header_errors.add();
            Ipv6Fragment header = *header_at<Ipv6Fragment>(packet.head(), info.header_length);
            u16 field = header.offset_and_more;
            info.protocol = header.next_header;
            info.header_length = static_cast<u16>(info.header_length + sizeof(Ipv6Fragment));
            if ((field & 0xfff9) == 0) // "atomic fragment" (RFC 6946)
                continue;
            return reassemble(info, std::move(packet), header.identification, field & 0xfff8u, (field & 1) != 0);
        }
        case Protocol::NoNext:
            return;
        default:
            return deliver(info, std::move(packet));
        }
    }
    m_statistics.ip_in_header_errors.add();
}

void Stack::reassemble(IpInfo& info, Packet packet, u32 identification, u32 offset, bool more)
{
    m_statistics.ip_reassembly_required.add();
    // The header of the fragment at hand serves for the whole; only the length is to be corrected.
    std::array<u8, 60> header;
    u32 kept = info.source.is_v4() ? info.header_length : static_cast<u32>(sizeof(Ipv6Header));
    if (!packet.copy_out(0, std::span(header).first(kept)))
        return;
    packet.pull(info.header_length);
    Nanoseconds time = now();
    auto outcome = m_reassembly.add(
        { info.source, info.destination, identification, info.protocol }, packet, offset, more, time);
    if (outcome == Reassembly::Outcome::Failed)
        return m_statistics.ip_reassembly_failed.add();
    if (outcome == Reassembly::Outcome::Waiting) {
        if (!m_reassembly_timer.is_armed())
            arm(m_reassembly_timer, time + Reassembly::k_timeout);
        return;
    }
    u32 payload = packet.length();
    auto place = packet.prepend(kept);
    if (place.empty() || payload + kept > 65535)
        return m_statistics.ip_reassembly_failed.add();
    std::ranges::copy(std::span(header).first(kept), place.begin());
    if (info.source.is_v4()) {
        auto* ip = header_at<Ipv4Header>(place);
        ip->total_length = static_cast<u16>(payload + kept);
        ip->fragment = 0;
    } else {
        auto* ip = header_at<Ipv6Header>(place);
        ip->payload_length = static_cast<u16>(payload);
        ip->next_header = info.protocol;
    }
    info.header_length = static_cast<u16>(kept);
    packet.offload() = {};
    m_statistics.ip_reassembly_ok.add();
    deliver(info, std::move(packet));
}

void Stack::deliver(const IpInfo& info, Packet packet)
{
    bool taken = m_raw.deliver(info, packet);
    m_statistics.ip_in_delivers.add();
    switch (info.protocol) {
    case Protocol::Tcp:
        if (!info.to_many)
            m_tcp.receive(info, std::move(packet));
        return;
    case Protocol::Udp:
        return m_udp.receive(info, std::move(packet));
    case Protocol::Icmp:
        if (info.source.is_v4())
            return receive_icmp(info, std::move(packet));
        break;
    case Protocol::Icmpv6:
        if (info.source.is_v6())
            return receive_icmpv6(info, std::move(packet));
        break;
    case Protocol::Igmp:
        if (info.source.is_v4())
            return receive_igmp(info, std::move(packet));
        break;
    default:
        break;
    }
    if (taken)
        return;
    m_statistics.ip_in_unknown_protocols.add();
    send_icmp_error(info, std::move(packet), IcmpError::ProtocolUnreachable);
}

Result<> Stack::output(Packet packet, const Path& path, IpAddress destination, const IpOutput& options)
{
    m_statistics.ip_out_requests.add();
    return destination.is_v4() ? output_ipv4(std::move(packet), path, destination, options)
                               : output_ipv6(std::move(packet), path, destination, options);
}

Result<> Stack::output_ipv4(Packet packet, const Path& path, IpAddress destination, const IpOutput& options)
{
    u32 total = packet.length() + static_cast<u32>(sizeof(Ipv4Header));
    if (total > path.mtu && packet.offload().segmentation == Segmentation::None) {
        if (options.dont_fragment || total > 65535)
            return Errno::EMSGSIZE;
        return fragment_ipv4(std::move(packet), path, destination, options);
    }
    auto bytes = packet.prepend(sizeof(Ipv4Header));
    if (bytes.empty())
        return Errno::ENOBUFS;
    // With DF and no fragments the identification means nothing (RFC 6864, 4.1), but a cut super-segment counts it on.
    u16 identification = options.dont_fragment && packet.offload().segmentation == Segmentation::None
        ? u16 { 0 }
        : next_identification();
    auto* ip = header_at<Ipv4Header>(bytes);
    *ip = Ipv4Header {
        .version_and_length = 0x45,
        .traffic_class = options.traffic_class,
        .total_length = static_cast<u16>(total),
        .identification = identification,
        .fragment = options.dont_fragment ? Ipv4Header::k_dont_fragment : u16 { 0 },
        .ttl = options.hop_limit,
        .protocol = options.protocol,
        .checksum = {},
        .source = path.source.as_v4(),
        .destination = destination.as_v4(),
    };
    ip->checksum = checksum_of(bytes);
    if (!path.interface->output(std::move(packet), k_ethertype_ipv4, path, destination)) {
        m_statistics.ip_out_discards.add();
        return Errno::ENOBUFS;
    }
    return {};
}

Result<> Stack::output_ipv6(Packet packet, const Path& path, IpAddress destination, const IpOutput& options)
{
    u32 payload = packet.length();
    if (payload + sizeof(Ipv6Header) > path.mtu && packet.offload().segmentation == Segmentation::None) {
        if (options.dont_fragment || payload > 65535)
            return Errno::EMSGSIZE;
        return fragment_ipv6(std::move(packet), path, destination, options);
    }
    auto bytes = packet.prepend(sizeof(Ipv6Header));
    if (bytes.empty())
        return Errno::ENOBUFS;
    *header_at<Ipv6Header>(bytes) = Ipv6Header {
        .version_class_flow = 6u << 28 | u32 { options.traffic_class } << 20,
        .payload_length = static_cast<u16>(payload),
        .next_header = options.protocol,
        .hop_limit = options.hop_limit,
        .source = path.source.to_wire(),
        .destination = destination.to_wire(),
    };
    if (!path.interface->output(std::move(packet), k_ethertype_ipv6, path, destination)) {
        m_statistics.ip_out_discards.add();
        return Errno::ENOBUFS;
    }
    return {};
}

namespace {

/// The transport checksum covers all fragments, so no device can make it.
Result<> complete_transport_checksum(Packet& packet)
{
    PacketOffload& offload = packet.offload();
    if (!offload.needs_checksum)
        return {};
    u32 field = offload.checksum_start + offload.checksum_offset;
    if (!packet.make_contiguous(field + 2))
        return Errno::ENOBUFS;
    Checksum sum;
    sum.add(packet, offload.checksum_start, packet.length() - offload.checksum_start);
    u16 value = static_cast<u16>(~sum.partial());
    *header_at<Be16>(packet.head(), field) = Be16::from_raw(value == 0 ? u16 { 0xffff } : value);
    offload.needs_checksum = false;
    return {};
}

} // namespace

Result<> Stack::fragment_ipv4(Packet packet, const Path& path, IpAddress destination, const IpOutput& options)
{
    TRY(complete_transport_checksum(packet));
    u32 step = (path.mtu - static_cast<u32>(sizeof(Ipv4Header))) & ~7u;
    u16 identification = m_identification.fetch_add(64, std::memory_order_relaxed);
    u32 total = packet.length();
    for (u32 offset = 0; offset < total; offset += step) {
        u32 length = std::min(step, total - offset);
        bool more = offset + length < total;
        Packet piece = TRY(packet.share(offset, length));
        auto bytes = piece.prepend(sizeof(Ipv4Header));
        if (bytes.empty())
            return Errno::ENOBUFS;
        auto* ip = header_at<Ipv4Header>(bytes);
        *ip = Ipv4Header {
            .version_and_length = 0x45,
            .traffic_class = options.traffic_class,
            .total_length = static_cast<u16>(length + sizeof(Ipv4Header)),
            .identification = identification,
            .fragment = static_cast<u16>(offset / 8 | (more ? Ipv4Header::k_more_fragments : 0u)),
            .ttl = options.hop_limit,
            .protocol = options.protocol,
            .checksum = {},
            .source = path.source.as_v4(),
            .destination = destination.as_v4(),
        };
        ip->checksum = checksum_of(bytes);
        m_statistics.ip_fragments_created.add();
        if (!path.interface->output(std::move(piece), k_ethertype_ipv4, path, destination))
            return Errno::ENOBUFS;
    }
    m_statistics.ip_fragments_ok.add();
    return {};
}

Result<> Stack::fragment_ipv6(Packet packet, const Path& path, IpAddress destination, const IpOutput& options)
{
    TRY(complete_transport_checksum(packet));
    constexpr u32 headers = sizeof(Ipv6Header) + sizeof(Ipv6Fragment);
    u32 step = (path.mtu - headers) & ~7u;
    u32 identification = static_cast<u32>(m_environment.random64());
    u32 total = packet.length();
    for (u32 offset = 0; offset < total; offset += step) {
        u32 length = std::min(step, total - offset);
        bool more = offset + length < total;
        Packet piece = TRY(packet.share(offset, length));
        auto bytes = piece.prepend(headers);
        if (bytes.empty())
            return Errno::ENOBUFS;
        *header_at<Ipv6Header>(bytes) = Ipv6Header {
            .version_class_flow = 6u << 28 | u32 { options.traffic_class } << 20,
            .payload_length = static_cast<u16>(length + sizeof(Ipv6Fragment)),
            .next_header = Protocol::Fragment,
            .hop_limit = options.hop_limit,
            .source = path.source.to_wire(),
            .destination = destination.to_wire(),
        };
        *header_at<Ipv6Fragment>(bytes, sizeof(Ipv6Header)) = Ipv6Fragment {
            .next_header = options.protocol,
            .reserved = 0,
            .offset_and_more = static_cast<u16>(offset | (more ? 1u : 0u)),
            .identification = identification,
        };
        m_statistics.ip_fragments_created.add();
        if (!path.interface->output(std::move(piece), k_ethertype_ipv6, path, destination))
            return Errno::ENOBUFS;
    }
    m_statistics.ip_fragments_ok.add();
    return {};
}

} // namespace eremite::net
