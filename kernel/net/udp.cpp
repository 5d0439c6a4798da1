#include "net/udp.h"

#include "net/checksum.h"
#include "net/stack.h"
#include "net/udp_socket.h"

namespace eremite::net {

bool Udp::conflicts(const UdpSocket& socket, const Endpoint& local)
{
    for (UdpSocket* other = m_buckets[local.port % k_buckets]; other; other = other->m_next) {
        Locked lock(other->m_lock);
        if (other == &socket || other->m_local.port != local.port)
            continue;
        if ((other->m_reuse_port && socket.m_reuse_port) || (other->m_reuse_address && socket.m_reuse_address))
            continue;
        if (other->m_bound_interface != 0 && socket.m_bound_interface != 0
            && other->m_bound_interface != socket.m_bound_interface)
            continue;
        const IpAddress& theirs = other->m_local.address;
        // An IPv6 socket that takes IPv4 as well is in the way of both.
        bool both_families = theirs.is_v4() == local.address.is_v4()
            || (theirs.is_v6() && theirs.is_unspecified() && !other->m_v6_only)
            || (local.address.is_v6() && local.address.is_unspecified() && !socket.m_v6_only);
        if (both_families && (theirs.is_unspecified() || local.address.is_unspecified() || theirs == local.address))
            return true;
    }
    return false;
}

Result<> Udp::bind(UdpSocket& socket, Endpoint local)
{
    Locked lock(m_lock);
    if (socket.m_bound)
        return Errno::EINVAL;
    if (local.port != 0) {
        if (conflicts(socket, local))
            return Errno::EADDRINUSE;
    } else {
        constexpr u32 range = k_last_ephemeral_port - k_first_ephemeral_port + 1;
        u32 start = static_cast<u32>(m_stack.environment().random64() % range);
        u32 tried = 0;
        do {
            if (tried++ == range)
                return Errno::EADDRINUSE;
            local.port = static_cast<u16>(k_first_ephemeral_port + (start + tried) % range);
        } while (conflicts(socket, local));
    }
    auto& bucket = m_buckets[local.port % k_buckets];
    {
        Locked socket_lock(socket.m_lock);
        socket.m_local.port = local.port;
        socket.m_local.address = local.address;
    }
    socket.m_bound = true;
    socket.m_next = bucket;
    bucket = &socket;
    return {};
}

void Udp::unbind(UdpSocket& socket)
{
    Locked lock(m_lock);
    if (!socket.m_bound)
        return;
    u16 port;
    {
        Locked socket_lock(socket.m_lock);
        port = socket.m_local.port;
    }
    UdpSocket** place = &m_buckets[port % k_buckets];
    while (*place != &socket)
        place = &(*place)->m_next;
    *place = socket.m_next;
    socket.m_bound = false;
}

/// The socket that fits best: connected before bound before unspecific; among equals with SO_REUSEPORT, by hash.
RefPtr<UdpSocket> Udp::find(const Match& match)
{
    Locked lock(m_lock);
    UdpSocket* best = nullptr;
    int best_score = -1;
    u32 equals = 0;
    u32 hash = static_cast<u32>(mix(m_stack.table_key(), match.source.low() ^ match.source.high(),
        match.destination.low(), u64 { match.source_port } << 16 | match.destination_port));
    for (UdpSocket* socket = m_buckets[match.destination_port % k_buckets]; socket; socket = socket->m_next) {
        Locked socket_lock(socket->m_lock);
        if (socket->m_local.port != match.destination_port)
            continue;
        int score = 0;
        const IpAddress& local = socket->m_local.address;
        if (!local.is_unspecified()) {
            if (local != match.destination)
                continue;
            score += 2;
        } else if (match.destination.is_v4() ? local.is_v6() && socket->m_v6_only : local.is_v4()) {
            continue;
        }
        if (match.destination.is_v4() == local.is_v4())
            score += 1;
        if (socket->m_connected) {
            if (socket->m_remote.address != match.source || socket->m_remote.port != match.source_port)
                continue;
            score += 4;
        }
        if (socket->m_bound_interface != 0) {
            if (socket->m_bound_interface != match.interface)
                continue;
            score += 4;
        }
        if (score > best_score) {
            best = socket;
            best_score = score;
            equals = 1;
        } else if (score == best_score && socket->m_reuse_port) {
            // Reservoir choice with a fixed hash: the same flow always lands on the same socket.
            ++equals;
            if (hash % equals == 0)
                best = socket;
        }
    }
    if (!best || !best->try_ref())
        return {};
    return RefPtr<UdpSocket>::adopt(static_cast<UdpSocket*>(best));
}

void Udp::receive(const IpInfo& info, Packet packet)
{
    auto& statistics = m_stack.statistics();
    if (packet.length() < info.header_length + sizeof(UdpHeader)
        || !packet.make_contiguous(info.header_length + static_cast<u32>(sizeof(UdpHeader))))
        return statistics.udp_in_errors.add();
    UdpHeader header = *header_at<UdpHeader>(packet.head(), info.header_length);
    u32 length = header.length;
    u32 available = packet.length() - info.header_length;
    if (length < sizeof(UdpHeader) || length > available || header.destination_port == 0)
        return statistics.udp_in_errors.add();
    // Over IPv6 the checksum is not optional (RFC 8200, 8.1).
    if (header.checksum == 0 ? info.source.is_v6() : !packet.offload().checksum_verified) {
        Checksum sum;
        sum.add_pseudo_header(info.source, info.destination, Protocol::Udp, length);
        sum.add(packet, info.header_length, length);
        if (header.checksum == 0 || !sum.is_valid()) {
            statistics.udp_checksum_errors.add();
            return statistics.udp_in_errors.add();
        }
    }
    Match match { info.source, header.source_port, info.destination, header.destination_port, info.interface->index() };
    if (info.to_many) {
        // Every socket that listens for it gets a copy.
        std::array<RefPtr<UdpSocket>, 32> takers;
        usize count = 0;
        {
            Locked lock(m_lock);
            for (UdpSocket* socket = m_buckets[match.destination_port % k_buckets]; socket && count < takers.size();
                socket = socket->m_next) {
                Locked socket_lock(socket->m_lock);
                const IpAddress& local = socket->m_local.address;
                bool fits = socket->m_local.port == match.destination_port
                    && (local.is_unspecified()
                            ? local.is_v4() == match.destination.is_v4() || (local.is_v6() && !socket->m_v6_only)
                            : local == match.destination || (!match.destination.is_multicast() && local.is_v4()))
                    && (!socket->m_connected
                        || (socket->m_remote.address == match.source && socket->m_remote.port == match.source_port))
                    && (socket->m_bound_interface == 0 || socket->m_bound_interface == match.interface);
                if (fits && socket->try_ref())
                    takers[count++] = RefPtr<UdpSocket>::adopt(socket);
            }
        }
        packet.truncate(info.header_length + length);
        packet.pull(info.header_length + static_cast<u32>(sizeof(UdpHeader)));
        for (auto& taker : std::span(takers).first(count)) {
            if (auto shared = packet.share(0, packet.length()); shared.has_value())
                taker->deliver(info, shared.release_value(), header.source_port);
        }
        if (count == 0)
            statistics.udp_no_ports.add();
        return;
    }
    auto socket = find(match);
    if (!socket) {
        statistics.udp_no_ports.add();
        return m_stack.send_icmp_error(info, std::move(packet), IcmpError::PortUnreachable);
    }
    packet.truncate(info.header_length + length);
    packet.pull(info.header_length + static_cast<u32>(sizeof(UdpHeader)));
    socket->deliver(info, std::move(packet), header.source_port);
}

void Udp::icmp_error(const IcmpReport& report)
{
    auto* header = header_at<UdpHeader>(std::span<const u8>(report.transport));
    if (report.error == IcmpError::TooBig && report.mtu >= 576) {
        m_stack.routes().learn_mtu(report.remote, report.mtu, m_stack.now());
        m_stack.paths_changed();
    }
    auto socket = find({ report.remote, header->destination_port, report.local, header->source_port, 0 });
    if (!socket)
        return;
    bool connected;
    {
        Locked lock(socket->m_lock);
        connected = socket->m_connected;
    }
    // As Linux: hard errors reach connected sockets, others only those that asked (IP_RECVERR).
    bool hard = report.error == IcmpError::PortUnreachable || report.error == IcmpError::ProtocolUnreachable;
    if ((connected && hard) || socket->m_receive_errors) {
        socket->set_error(errno_of(report.error));
        socket->m_wait_queue.wake_all(abi::k_pollerr);
    }
}

} // namespace eremite::net
