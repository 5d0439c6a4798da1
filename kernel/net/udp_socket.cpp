#include "net/udp_socket.h"

#include "net/checksum.h"
#include "net/stack.h"

namespace eremite::net {

UdpSocket::UdpSocket(Stack& stack, int domain)
    : Socket(&stack, domain, abi::k_sock_dgram, abi::k_ipproto_udp)
{
    IpAddress any = domain == abi::k_af_inet ? IpAddress::v4(0) : IpAddress();
    m_local.address = any;
    m_remote.address = any;
}

UdpSocket::~UdpSocket()
{
    close();
}

void UdpSocket::close()
{
    m_stack->udp().unbind(*this);
    leave_all_groups();
    m_queue.clear();
    m_stack->finish();
}

Result<> UdpSocket::bind(const SocketAddress& address)
{
    Endpoint local = TRY(check_address(address));
    if (!local.address.is_unspecified() && !local.address.is_multicast() && !local.address.is_limited_broadcast()
        && !m_stack->is_local(local.address)) {
        bool broadcast = false;
        for (Interface* interface : m_stack->interfaces())
            broadcast = broadcast || interface->is_broadcast(local.address);
        if (!broadcast)
            return Errno::EADDRNOTAVAIL;
    }
    m_source_chosen = !local.address.is_unspecified();
    return m_stack->udp().bind(*this, local);
}

Result<> UdpSocket::ensure_bound()
{
    Endpoint local;
    {
        Locked lock(m_lock);
        if (m_local.port != 0)
            return {};
        local = m_local;
    }
    auto result = m_stack->udp().bind(*this, local);
    return result.is_error() && result.error() == Errno::EINVAL ? Result<>() : std::move(result);
}

Result<> UdpSocket::connect(const SocketAddress& address, bool)
{
    if (address.family == abi::k_af_unspec) {
        Locked lock(m_lock);
        m_connected = false;
        m_remote = { .address = m_domain == abi::k_af_inet ? IpAddress::v4(0) : IpAddress() };
        if (!m_source_chosen)
            m_local.address = m_remote.address;
        m_path = {};
        return {};
    }
    Endpoint remote = TRY(check_address(address));
    if (remote.address.is_unspecified())
        remote.address
            = m_domain == abi::k_af_inet || remote.address.is_v4() ? IpAddress::v4(127, 0, 0, 1) : IpAddress::v6(0, 1);
    TRY(ensure_bound());
    IpAddress source;
    {
        Locked lock(m_lock);
        source = m_source_chosen ? m_local.address : IpAddress();
    }
    if (source.is_multicast())
        source = {};
    u32 index = remote.interface != 0 ? remote.interface : m_bound_interface;
    Path path = TRY(m_stack->find_path(remote.address, source, m_stack->interface(index)));
    if (path.interface->is_broadcast(remote.address) && !m_broadcast)
        return Errno::EACCES;
    Locked lock(m_lock);
    m_remote = remote;
    m_connected = true;
    if (!m_source_chosen)
        m_local.address = path.source;
    m_path = std::move(path);
    return {};
}

Result<Path> UdpSocket::path_to(const Endpoint& destination, const SendRequest& request)
{
    IpAddress source = request.source;
    {
        Locked lock(m_lock);
        if (m_connected && !request.destination && source.is_unspecified()
            && m_path.generation == m_stack->generation()) [[likely]]
            return Path(m_path);
        if (source.is_unspecified() && (m_source_chosen || (m_connected && !request.destination))
            && !m_local.address.is_multicast())
            source = m_local.address;
    }
    u32 index = request.interface != 0 ? request.interface
        : destination.interface != 0   ? destination.interface
                                       : m_bound_interface;
    if (index == 0 && destination.address.is_multicast())
        index = m_multicast_interface;
    if (source.is_v4() != destination.address.is_v4())
        source = {};
    if (!source.is_unspecified() && !m_stack->is_local(source))
        source = {};
    Path path = TRY(m_stack->find_path(destination.address, source, m_stack->interface(index)));
    if (!request.destination) {
        Locked lock(m_lock);
        m_path = path;
    }
    return path;
}

Result<usize> UdpSocket::send(SendRequest& request)
{
    TRY(take_error());
    if (m_shut_write.load(std::memory_order_relaxed))
        return Errno::EPIPE;
    usize total = request.data.remaining();
    if (total > 65507)
        return Errno::EMSGSIZE;
    Endpoint destination;
    if (request.destination) {
        destination = TRY(check_address(*request.destination));
        if (destination.port == 0)
            return Errno::EINVAL;
        if (destination.address.is_unspecified())
            destination.address = destination.address.is_v4() ? IpAddress::v4(127, 0, 0, 1) : IpAddress::v6(0, 1);
    } else {
        Locked lock(m_lock);
        if (!m_connected)
            return Errno::EDESTADDRREQ;
        destination = m_remote;
    }
    TRY(ensure_bound());
    Path path = TRY(path_to(destination, request));
    bool to_link = !path.neighbour && !path.interface->is_loopback();
    if (to_link && !destination.address.is_multicast() && !m_broadcast)
        return Errno::EACCES;
    u16 source_port;
    {
        Locked lock(m_lock);
        source_port = m_local.port;
    }

    // The first buffer has room for the headers; what doesn't fit into it follows in pages.
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
    u32 udp_length = length + static_cast<u32>(sizeof(UdpHeader));
    u16 segment_size = request.segment_size != 0 ? request.segment_size : m_segment_size;
    auto& offload = packet.offload();
    bool cut = segment_size != 0 && segment_size < length;
    auto* header = header_at<UdpHeader>(packet.prepend(sizeof(UdpHeader)));
    Checksum sum;
    sum.add_pseudo_header(path.source, destination.address, Protocol::Udp, udp_length);
    *header = { source_port, destination.port, static_cast<u16>(udp_length), Be16::from_raw(sum.partial()) };
    offload.needs_checksum = true;
    offload.checksum_start = 0;
    offload.checksum_offset = 6;
    if (cut) {
        offload.segmentation = destination.address.is_v4() ? Segmentation::Udp4 : Segmentation::Udp6;
        offload.segment_size = segment_size;
        offload.header_length = sizeof(UdpHeader);
    }
    u8 hop_limit = destination.address.is_multicast() ? m_multicast_hop_limit : m_hop_limit;
    IpOutput options {
        .protocol = Protocol::Udp,
        .hop_limit = request.hop_limit >= 0 ? static_cast<u8>(request.hop_limit) : hop_limit,
        .traffic_class = request.traffic_class >= 0 ? static_cast<u8>(request.traffic_class) : m_traffic_class,
        .dont_fragment = m_dont_fragment,
    };
    m_stack->statistics().udp_out_datagrams.add();
    // A multicast packet also goes to members here; loopback has no such copy of its own.
    if (destination.address.is_multicast() && m_multicast_loop && path.interface->is_member(destination.address)) {
        if (auto copied = packet.copy(); copied.has_value()) {
            Path back = path;
            back.interface = &m_stack->loopback();
            back.mtu = 65536;
            copied.value().offload().segmentation = Segmentation::None;
            if (auto looped = m_stack->output(copied.release_value(), back, destination.address, options);
                looped.is_error()) { }
        }
    }
    auto sent = m_stack->output(std::move(packet), path, destination.address, options);
    if ((request.flags & abi::k_msg_more) == 0)
        m_stack->finish();
    // A full device queue loses the datagram silently, as Linux does without IP_RECVERR.
    if (sent.is_error() && sent.error() != Errno::ENOBUFS)
        return sent.error();
    return total;
}

Result<usize> UdpSocket::receive(ReceiveRequest& request)
{
    Nanoseconds deadline = Nanoseconds::max();
    bool first = true;
    while (true) {
        TRY(take_error());
        DatagramNote note;
        auto received = m_queue.receive(request, note);
        if (received.has_value()) {
            if (request.source)
                show({ note.source, note.source_port, note.source.is_link_local() ? note.interface : 0 },
                    *request.source);
            return received;
        }
        if (received.error() != Errno::EAGAIN)
            return received.error();
        if (m_shut_read.load(std::memory_order_relaxed))
            return usize { 0 };
        if (first) {
            // Perhaps it has arrived, and nobody looked.
            m_stack->poll();
            first = false;
            deadline = receive_deadline();
            continue;
        }
        if (request.nonblocking)
            return Errno::EAGAIN;
        auto waited = m_stack->wait(
            m_wait_queue,
            [this] { return !m_queue.is_empty() || has_error() || m_shut_read.load(std::memory_order_relaxed); },
            deadline);
        if (waited.is_error())
            return waited.error() == Errno::ETIMEDOUT ? Errno::EAGAIN : waited.error();
    }
}

Result<usize> UdpSocket::receive_queued(ReceiveRequest& request)
{
    DatagramNote note;
    return m_queue.receive(request, note);
}

Result<> UdpSocket::shutdown(int how)
{
    {
        Locked lock(m_lock);
        if (!m_connected)
            return Errno::ENOTCONN;
    }
    if (how == abi::k_shut_rd || how == abi::k_shut_rdwr)
        m_shut_read.store(true, std::memory_order_relaxed);
    if (how == abi::k_shut_wr || how == abi::k_shut_rdwr)
        m_shut_write.store(true, std::memory_order_relaxed);
    m_wait_queue.wake_all(abi::k_pollin | abi::k_pollhup);
    return {};
}

Result<> UdpSocket::local_address(SocketAddress& address)
{
    Locked lock(m_lock);
    show(m_local, address);
    return {};
}

Result<> UdpSocket::peer_address(SocketAddress& address)
{
    Locked lock(m_lock);
    if (!m_connected)
        return Errno::ENOTCONN;
    show(m_remote, address);
    return {};
}

Result<> UdpSocket::set_option(int level, int name, std::span<const u8> value)
{
    if (level != abi::k_sol_udp)
        return Socket::set_option(level, name, value);
    int number = TRY(integer(value));
    if (name == abi::k_udp_segment) {
        if (number < 0 || number > 65507)
            return Errno::EINVAL;
        m_segment_size = static_cast<u16>(number);
        return {};
    }
    return name == abi::k_udp_gro ? Result<>() : Result<>(Errno::ENOPROTOOPT);
}

Result<usize> UdpSocket::get_option(int level, int name, std::span<u8> value)
{
    if (level != abi::k_sol_udp)
        return Socket::get_option(level, name, value);
    if (name == abi::k_udp_segment)
        return store_integer(value, m_segment_size);
    return Errno::ENOPROTOOPT;
}

u32 UdpSocket::readiness()
{
    u32 events = abi::k_pollout | abi::k_pollwrnorm;
    if (!m_queue.is_empty() || m_shut_read.load(std::memory_order_relaxed))
        events |= abi::k_pollin | abi::k_pollrdnorm;
    if (m_shut_read.load(std::memory_order_relaxed))
        events |= abi::k_pollrdhup;
    if (has_error())
        events |= abi::k_pollerr;
    return events;
}

void UdpSocket::deliver(const IpInfo& info, Packet packet, u16 source_port)
{
    if (m_shut_read.load(std::memory_order_relaxed))
        return;
    DatagramNote note { info.source, info.destination, m_stack->environment().wall_clock().value(),
        info.interface->index(), source_port, info.hop_limit, info.traffic_class };
    if (!m_queue.push(std::move(packet), note, m_receive_limit.load(std::memory_order_relaxed)))
        return m_stack->statistics().udp_receive_buffer_errors.add();
    m_stack->statistics().udp_in_datagrams.add();
    m_wait_queue.wake_all(abi::k_pollin | abi::k_pollrdnorm);
}

} // namespace eremite::net
