#include "net/raw_socket.h"

#include "net/checksum.h"
#include "net/stack.h"

namespace eremite::net {

RawSocket::RawSocket(Stack& stack, int domain, int type, int protocol)
    : Socket(&stack, domain, type, protocol)
{
    m_local.address = m_remote.address = domain == abi::k_af_inet ? IpAddress::v4(0) : IpAddress();
    m_header_included = protocol == abi::k_ipproto_raw;
    if (is_ping()) // the identifier stands for the port
        m_local.port = static_cast<u16>(stack.environment().random64() | 1);
    stack.raw().add(*this);
}

RawSocket::~RawSocket()
{
    close();
}

void RawSocket::close()
{
    m_stack->raw().remove(*this);
    leave_all_groups();
    m_queue.clear();
    m_stack->finish();
}

void RawSockets::add(RawSocket& socket)
{
    Locked lock(m_lock);
    socket.m_next = m_first;
    socket.m_listed = true;
    m_first = &socket;
    m_count.fetch_add(1, std::memory_order_release);
}

void RawSockets::remove(RawSocket& socket)
{
    Locked lock(m_lock);
    if (!socket.m_listed)
        return;
    RawSocket** place = &m_first;
    while (*place != &socket)
        place = &(*place)->m_next;
    *place = socket.m_next;
    socket.m_listed = false;
    m_count.fetch_sub(1, std::memory_order_release);
}

bool RawSocket::wants(const IpInfo& info, Packet& packet) const
{
    if (static_cast<int>(info.protocol) != m_protocol || info.source.is_v4() != (m_domain == abi::k_af_inet))
        return false;
    if (!m_local.address.is_unspecified() && m_local.address != info.destination)
        return false;
    if (m_connected && m_remote.address != info.source)
        return false;
    if (m_protocol != abi::k_ipproto_icmp && m_protocol != abi::k_ipproto_icmpv6)
        return true;
    std::array<u8, 8> start;
    if (!packet.copy_out(info.header_length, start))
        return false;
    u8 type = start[0];
    if (is_ping()) {
        u8 reply = m_domain == abi::k_af_inet ? 0 : 129;
        return type == reply && (start[4] << 8 | start[5]) == m_local.port;
    }
    return (m_filter[type / 32] & (1u << (type % 32))) == 0;
}

bool RawSockets::deliver(const IpInfo& info, Packet& packet)
{
    if (m_count.load(std::memory_order_acquire) == 0) [[likely]]
        return false;
    bool taken = false;
    Locked lock(m_lock);
    for (RawSocket* socket = m_first; socket; socket = socket->m_next) {
        if (!socket->wants(info, packet))
            continue;
        taken = true;
        // IPv4 raw sockets see the header, all others don't (raw(7), RFC 3542).
        bool with_header = info.source.is_v4() && !socket->is_ping();
        u32 offset = with_header ? 0 : info.header_length;
        auto shared = packet.share(offset, packet.length() - offset);
        if (shared.is_error())
            continue;
        DatagramNote note { info.source, info.destination, m_stack.environment().wall_clock().value(),
            info.interface->index(), 0, info.hop_limit, info.traffic_class };
        if (socket->m_queue.push(shared.release_value(), note, socket->m_receive_limit.load(std::memory_order_relaxed)))
            socket->m_wait_queue.wake_all(abi::k_pollin | abi::k_pollrdnorm);
    }
    return taken;
}

Result<> RawSocket::bind(const SocketAddress& address)
{
    Endpoint local = TRY(check_address(address));
    if (!local.address.is_unspecified() && !m_stack->is_local(local.address))
        return Errno::EADDRNOTAVAIL;
    m_local.address = local.address;
    if (is_ping() && local.port != 0)
        m_local.port = local.port;
    return {};
}

Result<> RawSocket::connect(const SocketAddress& address, bool)
{
    if (address.family == abi::k_af_unspec) {
        m_connected = false;
        return {};
    }
    m_remote = TRY(check_address(address));
    m_connected = true;
    return {};
}

Result<usize> RawSocket::send(SendRequest& request)
{
    TRY(take_error());
    usize total = request.data.remaining();
    if (total > 65535)
        return Errno::EMSGSIZE;
    Endpoint destination = m_remote;
    if (request.destination)
        destination = TRY(check_address(*request.destination));
    else if (!m_connected)
        return Errno::EDESTADDRREQ;
    IpAddress source = request.source.is_unspecified() ? m_local.address : request.source;
    u32 index = request.interface != 0 ? request.interface : destination.interface != 0 ? destination.interface : m_bound_interface;
    Path path = TRY(m_stack->find_path(
        destination.address, source.is_unspecified() ? IpAddress() : source, m_stack->interface(index)));
    u32 length = static_cast<u32>(total);
    u32 in_first = std::min<u32>(length, Buffer::capacity_of(Buffer::Size::Page) - k_packet_headroom);
    Packet packet = TRY(Packet::create(k_packet_headroom, in_first));
    TRY(request.data.get(packet.head()));
    for (u32 done = in_first; done < length;) {
        u32 step = std::min(length - done, Buffer::capacity_of(Buffer::Size::Page));
        BufferRef buffer = TRY(Buffer::create(Buffer::Size::Page));
        TRY(request.data.get(buffer->bytes(0, step)));
        if (!packet.append(std::move(buffer), 0, step))
            return Errno::EMSGSIZE;
        done += step;
    }
    if (m_header_included && m_domain == abi::k_af_inet) {
        auto* ip = header_at<Ipv4Header>(packet.head());
        if (!ip || ip->header_length() < sizeof(Ipv4Header) || ip->header_length() > packet.head().size())
            return Errno::EINVAL;
        ip->total_length = static_cast<u16>(length);
        if (ip->source == 0)
            ip->source = path.source.as_v4();
        ip->checksum = 0;
        ip->checksum = checksum_of(packet.head().first(ip->header_length()));
        if (length > path.mtu)
            return Errno::EMSGSIZE;
        path.interface->output(std::move(packet), k_ethertype_ipv4, path, destination.address);
        m_stack->finish();
        return total;
    }
    bool icmp = m_protocol == abi::k_ipproto_icmp || m_protocol == abi::k_ipproto_icmpv6;
    if (auto* header = header_at<IcmpHeader>(packet.head());
        header && icmp && (is_ping() || m_protocol == abi::k_ipproto_icmpv6)) {
        if (is_ping()) {
            if (header->type != (m_domain == abi::k_af_inet ? 8 : 128) || header->code != 0)
                return Errno::EINVAL;
            header->first = m_local.port;
        }
        header->checksum = 0;
        Checksum sum;
        if (m_protocol == abi::k_ipproto_icmpv6)
            sum.add_pseudo_header(path.source, destination.address, Protocol::Icmpv6, length);
        sum.add(packet, 0, length);
        header->checksum = sum.finish();
    } else if (is_ping()) {
        return Errno::EINVAL;
    }
    IpOutput options {
        .protocol = static_cast<Protocol>(m_protocol),
        .hop_limit = request.hop_limit >= 0      ? static_cast<u8>(request.hop_limit)
            : destination.address.is_multicast() ? m_multicast_hop_limit
                                                 : m_hop_limit,
        .traffic_class = request.traffic_class >= 0 ? static_cast<u8>(request.traffic_class) : m_traffic_class,
        .dont_fragment = m_dont_fragment,
    };
    auto sent = m_stack->output(std::move(packet), path, destination.address, options);
    m_stack->finish();
    if (sent.is_error() && sent.error() != Errno::ENOBUFS)
        return sent.error();
    return total;
}

Result<usize> RawSocket::receive(ReceiveRequest& request)
{
    Nanoseconds deadline = receive_deadline();
    for (bool first = true;; first = false) {
        TRY(take_error());
        DatagramNote note;
        auto received = m_queue.receive(request, note);
        if (received.has_value()) {
            if (request.source)
                show({ note.source, 0, note.source.is_link_local() ? note.interface : 0 }, *request.source);
            return received;
        }
        if (received.error() != Errno::EAGAIN)
            return received.error();
        if (first && m_stack->poll())
            continue;
        if (request.nonblocking)
            return Errno::EAGAIN;
        auto waited = m_stack->wait(m_wait_queue, [this] { return !m_queue.is_empty() || has_error(); }, deadline);
        if (waited.is_error())
            return waited.error() == Errno::ETIMEDOUT ? Errno::EAGAIN : waited.error();
    }
}

Result<> RawSocket::shutdown(int)
{
    return m_connected ? Result<>() : Result<>(Errno::ENOTCONN);
}

Result<> RawSocket::local_address(SocketAddress& address)
{
    show(m_local, address);
    return {};
}

Result<> RawSocket::peer_address(SocketAddress& address)
{
    if (!m_connected)
        return Errno::ENOTCONN;
    show(m_remote, address);
    return {};
}

Result<> RawSocket::set_option(int level, int name, std::span<const u8> value)
{
    constexpr int icmp_filter = 1;
    if (name == icmp_filter
        && ((level == abi::k_sol_raw && m_protocol == abi::k_ipproto_icmp) || level == abi::k_sol_icmpv6)) {
        auto bytes = writable_bytes_of(m_filter);
        std::ranges::copy(value.first(std::min(value.size(), bytes.size())), bytes.begin());
        return {};
    }
    if (level == abi::k_ipproto_ip && name == abi::k_ip_hdrincl) {
        m_header_included = TRY(integer(value)) != 0;
        return {};
    }
    if ((level == abi::k_sol_ipv6 || level == abi::k_sol_raw) && name == 7) // IPV6_CHECKSUM: ICMPv6's is always made
        return {};
    return Socket::set_option(level, name, value);
}

u32 RawSocket::readiness()
{
    u32 events = abi::k_pollout | abi::k_pollwrnorm;
    if (!m_queue.is_empty())
        events |= abi::k_pollin | abi::k_pollrdnorm;
    if (has_error())
        events |= abi::k_pollerr;
    return events;
}

} // namespace eremite::net
