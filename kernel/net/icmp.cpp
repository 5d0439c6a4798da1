// ICMP and ICMPv6 (RFC 792, RFC 4443): echo, errors both ways.
#include "net/checksum.h"
#include "net/stack.h"

namespace eremite::net {

namespace {

struct ErrorCode {
    IcmpError error;
    u8 type4;
    u8 code4;
    u8 type6;
    u8 code6;
};

constexpr std::array<ErrorCode, 8> k_error_codes { {
    { IcmpError::NetworkUnreachable, 3, 0, 1, 0 },
    { IcmpError::HostUnreachable, 3, 1, 1, 3 },
    { IcmpError::ProtocolUnreachable, 3, 2, 4, 1 },
    { IcmpError::PortUnreachable, 3, 3, 1, 4 },
    { IcmpError::TooBig, 3, 4, 2, 0 },
    { IcmpError::Prohibited, 3, 13, 1, 1 },
    { IcmpError::TimeExceeded, 11, 0, 3, 0 },
    { IcmpError::BadHeader, 12, 0, 4, 0 },
} };

std::optional<IcmpError> classify(bool v4, u8 type, u8 code)
{
    for (const ErrorCode& entry : k_error_codes) {
        if (v4 ? entry.type4 == type && entry.code4 == code : entry.type6 == type && entry.code6 == code)
            return entry.error;
    }
    if (v4)
        return type == 3 ? std::optional(code == 9 || code == 10 ? IcmpError::Prohibited : IcmpError::HostUnreachable)
            : type == 11 ? std::optional(IcmpError::TimeExceeded)
            : type == 12 ? std::optional(IcmpError::BadHeader)
                         : std::nullopt;
    return type == 1 ? std::optional(IcmpError::HostUnreachable)
        : type == 2  ? std::optional(IcmpError::TooBig)
        : type == 3  ? std::optional(IcmpError::TimeExceeded)
        : type == 4  ? std::optional(IcmpError::BadHeader)
                     : std::nullopt;
}

} // namespace

void Stack::receive_icmp(const IpInfo& info, Packet packet)
{
    m_statistics.icmp_in_messages.add();
    packet.pull(info.header_length);
    Checksum sum;
    sum.add(packet, 0, packet.length());
    if (!packet.make_contiguous(sizeof(IcmpHeader)) || !sum.is_valid())
        return m_statistics.icmp_in_errors.add();
    IcmpHeader header = *header_at<IcmpHeader>(packet.head());
    constexpr u8 echo_request = 8;
    constexpr u8 echo_reply = 0;
    if (header.type == echo_request && header.code == 0) {
        if (info.to_many) // RFC 1122 3.2.2.6 allows it, smurf attacks advise against it
            return;
        auto path = find_path(info.source, info.destination, info.interface->is_loopback() ? nullptr : info.interface);
        auto copied = packet.copy();
        if (path.is_error() || copied.is_error())
            return;
        Packet reply = copied.release_value();
        reply.offload() = {};
        auto* answer = header_at<IcmpHeader>(reply.head());
        answer->type = echo_reply;
        answer->checksum = 0;
        Checksum new_sum;
        new_sum.add(reply, 0, reply.length());
        answer->checksum = new_sum.finish();
        m_statistics.icmp_out_messages.add();
        IpOutput options { .protocol = Protocol::Icmp, .traffic_class = info.traffic_class };
        if (auto sent = output(std::move(reply), path.value(), info.source, options); sent.is_error()) { }
        return;
    }
    if (auto error = classify(true, header.type, header.code)) {
        u32 quoted = std::min<u32>(packet.length(), 128);
        if (packet.make_contiguous(quoted))
            receive_icmp_error(info, packet.head().subspan(sizeof(IcmpHeader)), *error, header.second);
    }
}

void Stack::receive_icmpv6(const IpInfo& info, Packet packet)
{
    m_statistics.icmp_in_messages.add();
    packet.pull(info.header_length);
    Checksum sum;
    sum.add_pseudo_header(info.source, info.destination, Protocol::Icmpv6, packet.length());
    sum.add(packet, 0, packet.length());
    if (!packet.make_contiguous(sizeof(IcmpHeader)) || !sum.is_valid())
        return m_statistics.icmp_in_errors.add();
    IcmpHeader header = *header_at<IcmpHeader>(packet.head());
    constexpr u8 echo_request = 128;
    constexpr u8 echo_reply = 129;
    if (header.type == echo_request && header.code == 0) {
        auto path = find_path(info.source, info.to_many ? IpAddress() : info.destination,
            info.interface->is_loopback() ? nullptr : info.interface);
        auto copied = packet.copy();
        if (path.is_error() || copied.is_error())
            return;
        Packet reply = copied.release_value();
        reply.offload() = {};
        auto* answer = header_at<IcmpHeader>(reply.head());
        answer->type = echo_reply;
        answer->checksum = 0;
        Checksum new_sum;
        new_sum.add_pseudo_header(path.value().source, info.source, Protocol::Icmpv6, reply.length());
        new_sum.add(reply, 0, reply.length());
        answer->checksum = new_sum.finish();
        m_statistics.icmp_out_messages.add();
        IpOutput options { .protocol = Protocol::Icmpv6, .traffic_class = info.traffic_class };
        if (auto sent = output(std::move(reply), path.value(), info.source, options); sent.is_error()) { }
        return;
    }
    u32 available = std::min<u32>(packet.length(), 1280);
    if (!packet.make_contiguous(available))
        return;
    auto message = packet.head().first(available);
    if (header.type >= 130 && header.type <= 137)
        return receive_neighbour_message(info, message);
    if (auto error = classify(false, header.type, header.code)) {
        u32 mtu = u32 { header.first } << 16 | header.second;
        receive_icmp_error(info, message.subspan(sizeof(IcmpHeader)), *error, mtu);
    }
}

/// An error quotes the beginning of a packet of ours: find out which, and tell whom it concerns.
void Stack::receive_icmp_error(const IpInfo&, std::span<const u8> quoted, IcmpError error, u32 mtu)
{
    IcmpReport result { .error = error, .mtu = mtu };
    usize transport;
    if (auto* ip4 = header_at<Ipv4Header>(quoted); ip4 && (ip4->version_and_length >> 4) == 4) {
        result.local = IpAddress::v4(ip4->source);
        result.remote = IpAddress::v4(ip4->destination);
        result.protocol = ip4->protocol;
        transport = ip4->header_length();
        if (error == IcmpError::TooBig && mtu == 0)
            result.mtu = 576; // a router older than RFC 1191
    } else if (auto* ip6 = header_at<Ipv6Header>(quoted); ip6 && (ip6->version_class_flow >> 28) == 6) {
        result.local = IpAddress::from_wire(ip6->source);
        result.remote = IpAddress::from_wire(ip6->destination);
        result.protocol = ip6->next_header;
        transport = sizeof(Ipv6Header);
    } else {
        return m_statistics.icmp_in_errors.add();
    }
    auto* start = header_at<std::array<u8, 8>>(quoted, transport);
    if (!start || !is_local(result.local))
        return m_statistics.icmp_in_errors.add();
    result.transport = *start;
    report(result);
}

void Stack::report(const IcmpReport& found)
{
    if (found.protocol == Protocol::Tcp)
        m_tcp.icmp_error(found);
    else if (found.protocol == Protocol::Udp)
        m_udp.icmp_error(found);
    else if (found.error == IcmpError::TooBig && found.mtu >= 576) {
        m_routes.learn_mtu(found.remote, found.mtu, now());
        paths_changed();
    }
}

bool Stack::may_send_icmp_error(const IpInfo& info, Packet& packet)
{
    if (info.to_many || info.source.is_unspecified() || info.source.is_multicast()
        || info.interface->is_broadcast(info.source))
        return false;
    // Never an error about an error.
    if (info.protocol == Protocol::Icmp || info.protocol == Protocol::Icmpv6) {
        std::array<u8, 1> type;
        if (!packet.copy_out(info.header_length, type))
            return false;
        bool is_query = info.protocol == Protocol::Icmp ? type[0] == 0 || type[0] == 8 : type[0] >= 128;
        if (!is_query)
            return false;
    }
    // At most some 1000 a second, in bursts of 50: a token bucket kept as the time at which it is full.
    constexpr i64 cost = 1'000'000;
    constexpr i64 burst = 50 * cost;
    i64 time = now().value();
    i64 full_at = std::max(m_icmp_credit.load(std::memory_order_relaxed), time);
    if (full_at + cost - time > burst)
        return false;
    m_icmp_credit.store(full_at + cost, std::memory_order_relaxed);
    return true;
}

void Stack::send_icmp_error(const IpInfo& info, Packet packet, IcmpError error, u32 mtu)
{
    bool v4 = info.source.is_v4();
    const ErrorCode* code = nullptr;
    for (const ErrorCode& entry : k_error_codes) {
        if (entry.error == error)
            code = &entry;
    }
    if (!code || !may_send_icmp_error(info, packet))
        return;
    // RFC 1812, 4.3.2.3: as much as fits into 576 bytes; RFC 4443: into 1280.
    u32 room = v4 ? 576 - 20 - 8 : 1280 - 40 - 8;
    u32 quoted = std::min(packet.length(), room);
    auto created = Packet::create(k_packet_headroom, static_cast<u32>(sizeof(IcmpHeader)) + quoted);
    auto path = find_path(info.source, info.to_many ? IpAddress() : info.destination, nullptr);
    if (created.is_error() || path.is_error())
        return;
    Packet message = created.release_value();
    auto* header = header_at<IcmpHeader>(message.head());
    *header = {};
    header->type = v4 ? code->type4 : code->type6;
    header->code = v4 ? code->code4 : code->code6;
    header->second = static_cast<u16>(mtu);
    packet.copy_out(0, message.head().subspan(sizeof(IcmpHeader)));
    Checksum sum;
    if (!v4)
        sum.add_pseudo_header(path.value().source, info.source, Protocol::Icmpv6, message.length());
    sum.add(message.head());
    header->checksum = sum.finish();
    m_statistics.icmp_out_messages.add();
    IpOutput options { .protocol = v4 ? Protocol::Icmp : Protocol::Icmpv6 };
    if (auto sent = output(std::move(message), path.value(), info.source, options); sent.is_error()) { }
}

} // namespace eremite::net
