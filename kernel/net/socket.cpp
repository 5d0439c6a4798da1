#include "net/socket.h"

#include "arch/clock.h"
#include "net/raw_socket.h"
#include "net/stack.h"
#include "net/tcp/socket.h"
#include "net/udp_socket.h"

namespace eremite::net {

namespace {

constexpr u32 k_max_buffer = 8u << 20;
constexpr u32 k_min_receive_buffer = 2304;
constexpr u32 k_min_send_buffer = 4608;

struct TimeValue {
    i64 seconds;
    i64 microseconds;
};

struct MembershipRequest4 {
    std::array<u8, 4> group;
    std::array<u8, 4> local;
    i32 interface;
};

struct MembershipRequest6 {
    std::array<u8, 16> group;
    u32 interface;
};

IpAddress address_of(const std::array<u8, 4>& bytes)
{
    return IpAddress::v4(bytes[0], bytes[1], bytes[2], bytes[3]);
}

template<typename T> Result<T> structure(std::span<const u8> value)
{
    T result;
    if (value.size() < sizeof(T))
        return Errno::EINVAL;
    __builtin_memcpy(&result, value.data(), sizeof(T));
    return result;
}

} // namespace

Result<int> Socket::integer(std::span<const u8> value)
{
    if (value.size() >= sizeof(int))
        return structure<int>(value);
    if (value.size() >= 1)
        return int { value[0] };
    return Errno::EINVAL;
}

usize Socket::store(std::span<u8> value, std::span<const u8> source)
{
    usize length = std::min(value.size(), source.size());
    std::ranges::copy(source.first(length), value.begin());
    return length;
}

usize Socket::store_integer(std::span<u8> value, int number)
{
    return store(value, bytes_of(number));
}

Result<usize> Socket::send_bytes(const IoBuffer& data, u32 flags, bool nonblocking)
{
    SendRequest request { .data = IoCursor({ &data, 1 }), .flags = flags, .nonblocking = nonblocking };
    return send(request);
}

Result<usize> Socket::receive_bytes(const IoBuffer& data, u32 flags, bool nonblocking)
{
    ReceiveRequest request { .data = IoCursor({ &data, 1 }), .flags = flags, .nonblocking = nonblocking };
    return receive(request);
}

Nanoseconds Socket::current_time() const
{
    return m_stack ? m_stack->now() : arch::now();
}

Nanoseconds Socket::receive_deadline() const
{
    return m_receive_timeout == Nanoseconds::max() ? m_receive_timeout : current_time() + m_receive_timeout;
}

Nanoseconds Socket::send_deadline() const
{
    return m_send_timeout == Nanoseconds::max() ? m_send_timeout : current_time() + m_send_timeout;
}

Result<> Socket::take_error()
{
    if (m_error.load(std::memory_order_relaxed) == 0)
        return {};
    int error = m_error.exchange(0, std::memory_order_relaxed);
    if (error == 0)
        return {};
    return static_cast<Errno>(error);
}

Result<Endpoint> Socket::check_address(const SocketAddress& address) const
{
    Endpoint endpoint = address.endpoint;
    if (m_domain == abi::k_af_inet) {
        if (address.family == abi::k_af_unspec && endpoint.address.is_unspecified())
            endpoint.address = IpAddress::v4(0); // Linux takes AF_UNSPEC with INADDR_ANY as AF_INET
        else if (address.family != abi::k_af_inet)
            return Errno::EAFNOSUPPORT;
        return endpoint;
    }
    if (address.family == abi::k_af_inet)
        return m_v6_only ? Result<Endpoint>(Errno::EAFNOSUPPORT) : Result<Endpoint>(endpoint);
    if (address.family != abi::k_af_inet6)
        return Errno::EAFNOSUPPORT;
    if (endpoint.address.is_v4() && m_v6_only)
        return Errno::ENETUNREACH;
    return endpoint;
}

void Socket::show(const Endpoint& endpoint, SocketAddress& address) const
{
    address.family = static_cast<u16>(m_domain);
    address.endpoint = endpoint;
    if (m_domain == abi::k_af_inet && !endpoint.address.is_v4())
        address.endpoint.address = IpAddress::v4(0);
}

Result<> Socket::set_option(int level, int name, std::span<const u8> value)
{
    if (level == abi::k_sol_socket)
        return set_socket_option(name, value);
    if (m_stack && (level == abi::k_ipproto_ip || (level == abi::k_sol_ipv6 && m_domain == abi::k_af_inet6)))
        return set_ip_option(level, name, value);
    return Errno::ENOPROTOOPT;
}

Result<usize> Socket::get_option(int level, int name, std::span<u8> value)
{
    if (level == abi::k_sol_socket)
        return get_socket_option(name, value);
    if (m_stack && (level == abi::k_ipproto_ip || (level == abi::k_sol_ipv6 && m_domain == abi::k_af_inet6)))
        return get_ip_option(level, name, value);
    return Errno::ENOPROTOOPT;
}

Result<> Socket::set_socket_option(int name, std::span<const u8> value)
{
    switch (name) {
    case abi::k_so_linger: {
        auto linger = TRY(structure<abi::Linger>(value));
        m_linger = linger.enabled != 0;
        m_linger_seconds = linger.seconds;
        return {};
    }
    case abi::k_so_rcvtimeo:
    case abi::k_so_sndtimeo: {
        auto time = TRY(structure<TimeValue>(value));
        if (time.microseconds < 0 || time.microseconds >= 1'000'000)
            return Errno::EDOM;
        Nanoseconds timeout = Nanoseconds::max();
        if ((time.seconds > 0 || time.microseconds > 0) && time.seconds < (i64 { 1 } << 32))
            timeout = Nanoseconds::from_seconds(time.seconds) + Nanoseconds::from_microseconds(time.microseconds);
        else if (time.seconds < 0)
            timeout = {};
        (name == abi::k_so_rcvtimeo ? m_receive_timeout : m_send_timeout) = timeout;
        return {};
    }
    case abi::k_so_bindtodevice: {
        std::string_view device(reinterpret_cast<const char*>(value.data()), value.size());
        device = device.substr(0, device.find('\0'));
        m_bound_interface = 0;
        if (device.empty())
            return {};
        Interface* interface = m_stack ? m_stack->interface(device) : nullptr;
        if (!interface)
            return Errno::ENODEV;
        m_bound_interface = interface->index();
        return {};
    }
    default:
        break;
    }
    int number = TRY(integer(value));
    switch (name) {
    case abi::k_so_reuseaddr:
        m_reuse_address = number != 0;
        return {};
    case abi::k_so_reuseport:
        m_reuse_port = number != 0;
        return {};
    case abi::k_so_broadcast:
        m_broadcast = number != 0;
        return {};
    case abi::k_so_keepalive:
        m_keepalive = number != 0;
        return {};
    case abi::k_so_oobinline:
        m_oob_inline = number != 0;
        return {};
    case abi::k_so_priority:
        m_priority = number;
        return {};
    case abi::k_so_rcvlowat:
        m_receive_low_water = number < 1 ? 1 : number;
        return {};
    case abi::k_so_sndbuf:
    case abi::k_so_sndbufforce:
        // Linux doubles what is asked for, for its own overhead, and shows the double.
        m_send_limit.store(std::clamp<u32>(
            static_cast<u32>(std::min(std::max(number, 0), 1 << 29)) * 2, k_min_send_buffer, k_max_buffer));
        m_send_limit_fixed = true;
        return {};
    case abi::k_so_rcvbuf:
    case abi::k_so_rcvbufforce:
        m_receive_limit.store(std::clamp<u32>(
            static_cast<u32>(std::min(std::max(number, 0), 1 << 29)) * 2, k_min_receive_buffer, k_max_buffer));
        m_receive_limit_fixed = true;
        return {};
    case abi::k_so_timestamp:
        m_receive_options.timestamp = number != 0;
        m_receive_options.timestamp_nanoseconds = false;
        return {};
    case abi::k_so_timestampns:
        m_receive_options.timestamp_nanoseconds = number != 0;
        m_receive_options.timestamp = false;
        return {};
    case abi::k_so_passcred:
        m_receive_options.credentials = number != 0;
        return {};
    case abi::k_so_debug:
    case abi::k_so_dontroute:
    case abi::k_so_busy_poll:
    case abi::k_so_incoming_cpu:
        return {};
    default:
        return Errno::ENOPROTOOPT;
    }
}

Result<> Socket::set_membership(int level, int name, std::span<const u8> value)
{
    Membership wanted;
    bool join;
    if (level == abi::k_sol_ipv6) {
        auto request = TRY(structure<MembershipRequest6>(value));
        wanted = { IpAddress::from_wire(request.group), request.interface };
        join = name == abi::k_ipv6_join_group;
    } else {
        MembershipRequest4 request {};
        if (value.size() < 8)
            return Errno::EINVAL;
        __builtin_memcpy(&request, value.data(), std::min(value.size(), sizeof(request)));
        wanted
            = { address_of(request.group), value.size() >= sizeof(request) ? static_cast<u32>(request.interface) : 0 };
        IpAddress local = address_of(request.local);
        if (wanted.interface == 0 && !local.is_unspecified()) {
            for (Interface* candidate : m_stack->interfaces()) {
                if (candidate->owns(local))
                    wanted.interface = candidate->index();
            }
            if (wanted.interface == 0)
                return Errno::ENODEV;
        }
        join = name == abi::k_ip_add_membership;
    }
    if (!wanted.group.is_multicast())
        return Errno::EINVAL;
    if (wanted.interface == 0) {
        auto path = m_stack->find_path(wanted.group, {}, nullptr);
        wanted.interface = path.has_value() ? path.value().interface->index() : 1;
    }
    Interface* interface = m_stack->interface(wanted.interface);
    if (!interface)
        return Errno::ENODEV;
    {
        Locked lock(m_membership_lock);
        auto known = std::ranges::find_if(m_memberships.span(), [&](const Membership& membership) {
            return membership.group == wanted.group && membership.interface == wanted.interface;
        });
        bool member = known != m_memberships.span().end();
        if (join && member)
            return Errno::EADDRINUSE;
        if (!join && !member)
            return Errno::EADDRNOTAVAIL;
        if (join)
            TRY(m_memberships.try_append(wanted));
        else
            m_memberships.remove_unordered(static_cast<usize>(known - m_memberships.span().begin()));
    }
    Result<> result = join ? interface->join_group(wanted.group) : interface->leave_group(wanted.group);
    m_stack->finish();
    return result;
}

void Socket::leave_all_groups()
{
    Vector<Membership> memberships;
    {
        Locked lock(m_membership_lock);
        memberships = std::move(m_memberships);
    }
    for (const Membership& membership : memberships) {
        if (Interface* interface = m_stack->interface(membership.interface)) {
            if (auto left = interface->leave_group(membership.group); left.is_error()) { }
        }
    }
}

Result<> Socket::set_ip_option(int level, int name, std::span<const u8> value)
{
    if (level == abi::k_ipproto_ip) {
        if (name == abi::k_ip_add_membership || name == abi::k_ip_drop_membership)
            return set_membership(level, name, value);
        if (name == abi::k_ip_multicast_if) {
            std::array<u8, 4> local {};
            i32 interface = 0;
            if (value.size() >= sizeof(MembershipRequest4)) {
                auto request = TRY(structure<MembershipRequest4>(value));
                local = request.local;
                interface = request.interface;
            } else {
                local = TRY((structure<std::array<u8, 4>>(value)));
            }
            m_multicast_interface = static_cast<u32>(interface);
            for (Interface* candidate : m_stack->interfaces()) {
                if (interface == 0 && candidate->owns(address_of(local)))
                    m_multicast_interface = candidate->index();
            }
            return {};
        }
    } else if (name == abi::k_ipv6_join_group || name == abi::k_ipv6_leave_group) {
        return set_membership(level, name, value);
    }
    int number = TRY(integer(value));
    auto hops = [&](u8& field, int standard) -> Result<> {
        if (number < -1 || number > 255)
            return Errno::EINVAL;
        field = static_cast<u8>(number == -1 ? standard : number);
        return {};
    };
    if (level == abi::k_ipproto_ip) {
        switch (name) {
        case abi::k_ip_tos:
            m_traffic_class = static_cast<u8>(number);
            return {};
        case abi::k_ip_ttl:
            return number == 0 ? Result<>(Errno::EINVAL) : hops(m_hop_limit, 64);
        case abi::k_ip_multicast_ttl:
            return hops(m_multicast_hop_limit, 1);
        case abi::k_ip_multicast_loop:
            m_multicast_loop = number != 0;
            return {};
        case abi::k_ip_mtu_discover:
            m_dont_fragment = number == 2 || number == 3;
            return {};
        case abi::k_ip_recverr:
            m_receive_errors = number != 0;
            return {};
        case abi::k_ip_pktinfo:
            m_receive_options.packet_info = number != 0;
            return {};
        case abi::k_ip_recvttl:
            m_receive_options.hop_limit = number != 0;
            return {};
        case abi::k_ip_recvtos:
            m_receive_options.traffic_class = number != 0;
            return {};
        case abi::k_ip_multicast_all:
        case abi::k_ip_freebind:
        case abi::k_ip_bind_address_no_port:
        case abi::k_ip_recvopts:
            return {};
        default:
            return Errno::ENOPROTOOPT;
        }
    }
    switch (name) {
    case abi::k_ipv6_v6only:
        m_v6_only = number != 0;
        return {};
    case abi::k_ipv6_unicast_hops:
        return hops(m_hop_limit, 64);
    case abi::k_ipv6_multicast_hops:
        return hops(m_multicast_hop_limit, 1);
    case abi::k_ipv6_multicast_loop:
        m_multicast_loop = number != 0;
        return {};
    case abi::k_ipv6_multicast_if:
        m_multicast_interface = static_cast<u32>(number);
        return {};
    case abi::k_ipv6_tclass:
        m_traffic_class = static_cast<u8>(number == -1 ? 0 : number);
        return {};
    case abi::k_ipv6_mtu_discover:
        m_dont_fragment = number == 2 || number == 3;
        return {};
    case abi::k_ipv6_recverr:
        m_receive_errors = number != 0;
        return {};
    case abi::k_ipv6_recvpktinfo:
        m_receive_options.packet_info6 = number != 0;
        return {};
    case abi::k_ipv6_recvhoplimit:
        m_receive_options.hop_limit6 = number != 0;
        return {};
    case abi::k_ipv6_recvtclass:
        m_receive_options.traffic_class6 = number != 0;
        return {};
    default:
        return Errno::ENOPROTOOPT;
    }
}

Result<usize> Socket::get_socket_option(int name, std::span<u8> value)
{
    auto timeout = [&](Nanoseconds time) {
        TimeValue result { 0, 0 };
        if (time != Nanoseconds::max())
            result = { time.seconds(), time.microseconds() % 1'000'000 };
        return store(value, bytes_of(result));
    };
    switch (name) {
    case abi::k_so_linger:
        return store(value, bytes_of(abi::Linger { m_linger, m_linger_seconds }));
    case abi::k_so_rcvtimeo:
        return timeout(m_receive_timeout);
    case abi::k_so_sndtimeo:
        return timeout(m_send_timeout);
    case abi::k_so_error:
        return store_integer(value, m_error.exchange(0, std::memory_order_relaxed));
    case abi::k_so_type:
        return store_integer(value, m_type);
    case abi::k_so_domain:
        return store_integer(value, m_domain);
    case abi::k_so_protocol:
        return store_integer(value, m_protocol);
    case abi::k_so_reuseaddr:
        return store_integer(value, m_reuse_address);
    case abi::k_so_reuseport:
        return store_integer(value, m_reuse_port);
    case abi::k_so_broadcast:
        return store_integer(value, m_broadcast);
    case abi::k_so_keepalive:
        return store_integer(value, m_keepalive);
    case abi::k_so_oobinline:
        return store_integer(value, m_oob_inline);
    case abi::k_so_priority:
        return store_integer(value, m_priority);
    case abi::k_so_rcvlowat:
        return store_integer(value, m_receive_low_water);
    case abi::k_so_sndlowat:
        return store_integer(value, 1);
    case abi::k_so_sndbuf:
        return store_integer(value, static_cast<int>(m_send_limit.load()));
    case abi::k_so_rcvbuf:
        return store_integer(value, static_cast<int>(m_receive_limit.load()));
    case abi::k_so_timestamp:
        return store_integer(value, m_receive_options.timestamp);
    case abi::k_so_timestampns:
        return store_integer(value, m_receive_options.timestamp_nanoseconds);
    case abi::k_so_passcred:
        return store_integer(value, m_receive_options.credentials);
    case abi::k_so_peercred:
        return store(value, bytes_of(abi::Credentials { 1, 0, 0 }));
    case abi::k_so_acceptconn:
    case abi::k_so_debug:
    case abi::k_so_dontroute:
    case abi::k_so_busy_poll:
        return store_integer(value, 0);
    case abi::k_so_bindtodevice: {
        Interface* interface = m_stack ? m_stack->interface(m_bound_interface) : nullptr;
        if (!interface)
            return usize { 0 };
        auto device = interface->device().name();
        return store(value, { reinterpret_cast<const u8*>(device.data()), device.size() });
    }
    default:
        return Errno::ENOPROTOOPT;
    }
}

Result<usize> Socket::get_ip_option(int level, int name, std::span<u8> value)
{
    if (level == abi::k_ipproto_ip) {
        switch (name) {
        case abi::k_ip_tos:
            return store_integer(value, m_traffic_class);
        case abi::k_ip_ttl:
            return store_integer(value, m_hop_limit);
        case abi::k_ip_multicast_ttl:
            return store_integer(value, m_multicast_hop_limit);
        case abi::k_ip_multicast_loop:
            return store_integer(value, m_multicast_loop);
        case abi::k_ip_mtu_discover:
            return store_integer(value, m_dont_fragment ? 2 : 1);
        case abi::k_ip_recverr:
            return store_integer(value, m_receive_errors);
        case abi::k_ip_pktinfo:
            return store_integer(value, m_receive_options.packet_info);
        case abi::k_ip_recvttl:
            return store_integer(value, m_receive_options.hop_limit);
        case abi::k_ip_recvtos:
            return store_integer(value, m_receive_options.traffic_class);
        case abi::k_ip_options:
            return usize { 0 };
        case abi::k_ip_mtu: {
            SocketAddress peer;
            TRY(peer_address(peer));
            return store_integer(
                value, static_cast<int>(TRY(m_stack->find_path(peer.endpoint.address, {}, nullptr)).mtu));
        }
        default:
            return Errno::ENOPROTOOPT;
        }
    }
    switch (name) {
    case abi::k_ipv6_v6only:
        return store_integer(value, m_v6_only);
    case abi::k_ipv6_unicast_hops:
        return store_integer(value, m_hop_limit);
    case abi::k_ipv6_multicast_hops:
        return store_integer(value, m_multicast_hop_limit);
    case abi::k_ipv6_multicast_loop:
        return store_integer(value, m_multicast_loop);
    case abi::k_ipv6_multicast_if:
        return store_integer(value, static_cast<int>(m_multicast_interface));
    case abi::k_ipv6_tclass:
        return store_integer(value, m_traffic_class);
    case abi::k_ipv6_mtu_discover:
        return store_integer(value, m_dont_fragment ? 2 : 1);
    case abi::k_ipv6_recvpktinfo:
        return store_integer(value, m_receive_options.packet_info6);
    case abi::k_ipv6_recvhoplimit:
        return store_integer(value, m_receive_options.hop_limit6);
    case abi::k_ipv6_recvtclass:
        return store_integer(value, m_receive_options.traffic_class6);
    default:
        return Errno::ENOPROTOOPT;
    }
}

Result<SocketRef> create_internet_socket(Stack& stack, int domain, int type, int protocol)
{
    if (domain != abi::k_af_inet && domain != abi::k_af_inet6)
        return Errno::EAFNOSUPPORT;
    if (protocol < 0 || protocol > 255)
        return Errno::EINVAL;
    int icmp = domain == abi::k_af_inet ? abi::k_ipproto_icmp : abi::k_ipproto_icmpv6;
    switch (type) {
    case abi::k_sock_stream:
        if (protocol != 0 && protocol != abi::k_ipproto_tcp)
            return Errno::EPROTONOSUPPORT;
        return SocketRef(TRY(make_ref<TcpSocket>(stack, domain)));
    case abi::k_sock_dgram:
        if (protocol == icmp)
            return SocketRef(TRY(make_ref<RawSocket>(stack, domain, type, protocol)));
        if (protocol != 0 && protocol != abi::k_ipproto_udp)
            return Errno::EPROTONOSUPPORT;
        return SocketRef(TRY(make_ref<UdpSocket>(stack, domain)));
    case abi::k_sock_raw:
        if (protocol == 0)
            return Errno::EPROTONOSUPPORT;
        return SocketRef(TRY(make_ref<RawSocket>(stack, domain, type, protocol)));
    default:
        return Errno::ESOCKTNOSUPPORT;
    }
}

} // namespace eremite::net
