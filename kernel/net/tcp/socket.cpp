#include "net/tcp/socket.h"

#include "net/stack.h"

namespace eremite::net {

TcpSocket::TcpSocket(Stack& stack, int domain)
    : Socket(&stack, domain, abi::k_sock_stream, abi::k_ipproto_tcp)
    , m_tcp(stack.tcp())
{
    m_local.address = domain == abi::k_af_inet ? IpAddress::v4(0) : IpAddress();
    m_receive_limit.store(131072);
    m_send_limit.store(87040);
}

TcpSocket::~TcpSocket()
{
    close();
}

RefPtr<TcpConnection> TcpSocket::connection() const
{
    Locked lock(m_lock);
    return m_connection;
}

void TcpSocket::close()
{
    RefPtr<TcpConnection> connection;
    RefPtr<TcpListener> listener;
    {
        Locked lock(m_lock);
        connection = m_connection;
        listener = std::move(m_listener);
    }
    m_listening.store(false, std::memory_order_release);
    if (listener) {
        m_tcp.listeners().remove(*listener);
        listener->close();
    }
    if (connection) {
        bool abort = m_linger && m_linger_seconds == 0;
        if (m_linger && m_linger_seconds > 0 && !connection->is_send_queue_empty()) {
            if (auto ended = connection->shutdown_send(); ended.is_error()) { }
            m_stack->finish();
            Nanoseconds deadline = m_stack->now() + Nanoseconds::from_seconds(m_linger_seconds);
            auto waited = m_stack->wait(
                m_wait_queue,
                [&] {
                    return connection->is_send_queue_empty() || connection->state() == TcpConnection::State::Closed;
                },
                deadline);
            if (waited.is_error()) { }
        }
        connection->set_wait_queue(nullptr);
        connection->close(abort);
    }
    m_tcp.unbind(*this);
    m_stack->finish();
}

Result<> TcpSocket::bind(const SocketAddress& address)
{
    Endpoint local = TRY(check_address(address));
    if (!local.address.is_unspecified() && !m_stack->is_local(local.address))
        return Errno::EADDRNOTAVAIL;
    if (m_fast.load(std::memory_order_relaxed))
        return Errno::EINVAL;
    m_source_chosen = !local.address.is_unspecified();
    return m_tcp.bind(*this, local);
}

Result<> TcpSocket::ensure_bound()
{
    auto result = m_tcp.bind(*this, { m_local.address, 0, 0 });
    return result.is_error() && result.error() == Errno::EINVAL ? Result<>() : std::move(result);
}

Result<> TcpSocket::listen(int backlog)
{
    if (m_fast.load(std::memory_order_relaxed))
        return Errno::EINVAL;
    u32 limit = backlog < 0 || backlog > 4096 ? 4096 : static_cast<u32>(backlog);
    {
        Locked lock(m_lock);
        if (m_listener) {
            m_listener->set_backlog(limit);
            return {};
        }
    }
    TRY(ensure_bound());
    TcpSettings settings;
    {
        Locked lock(m_lock);
        settings = m_settings;
    }
    auto listener = TRY(make_ref<TcpListener>(m_tcp, m_local, m_v6_only, m_bound_interface, settings, m_wait_queue));
    listener->set_backlog(limit);
    {
        Locked lock(m_lock);
        m_listener = listener;
    }
    m_tcp.listeners().add(*listener);
    m_listening.store(true, std::memory_order_release);
    return {};
}

void TcpSocket::adopt(RefPtr<TcpConnection> connection, Endpoint local)
{
    m_local = local;
    TcpConnection* raw = connection.get();
    {
        Locked lock(m_lock);
        m_connection = std::move(connection);
    }
    raw->set_wait_queue(&m_wait_queue);
    m_fast.store(raw, std::memory_order_release);
}

Result<SocketRef> TcpSocket::accept(bool nonblocking, SocketAddress* peer)
{
    Nanoseconds deadline = receive_deadline();
    for (bool first = true;; first = false) {
        RefPtr<TcpListener> listener;
        {
            Locked lock(m_lock);
            listener = m_listener;
        }
        if (!listener)
            return Errno::EINVAL;
        if (auto connection = listener->take()) {
            TcpKey key = connection->key();
            auto made = make_ref<TcpSocket>(*m_stack, m_domain);
            if (made.is_error()) {
                connection->close(true);
                return made.error();
            }
            auto socket = made.release_value();
            {
                Locked lock(socket->m_lock);
                socket->m_settings = connection->settings();
            }
            socket->m_keepalive = m_keepalive;
            socket->m_linger = m_linger;
            socket->m_linger_seconds = m_linger_seconds;
            socket->m_hop_limit = m_hop_limit;
            socket->m_traffic_class = m_traffic_class;
            socket->m_connect_reported.store(true, std::memory_order_relaxed);
            socket->adopt(std::move(connection), { key.local, key.local_port, 0 });
            if (peer)
                show({ key.remote, key.remote_port, 0 }, *peer);
            return SocketRef(std::move(socket));
        }
        if (first && m_stack->poll())
            continue;
        if (nonblocking)
            return Errno::EAGAIN;
        auto waited
            = m_stack->wait(m_wait_queue, [&] { return listener->has_connections() || !is_listening(); }, deadline);
        if (waited.is_error())
            return waited.error() == Errno::ETIMEDOUT ? Errno::EAGAIN : waited.error();
    }
}

Result<> TcpSocket::connect(const SocketAddress& address, bool nonblocking)
{
    if (is_listening())
        return Errno::EISCONN;
    if (TcpConnection* existing = m_fast.load(std::memory_order_acquire)) {
        auto state = existing->state();
        if (state == TcpConnection::State::SynSent || state == TcpConnection::State::SynReceived)
            return nonblocking ? Result<>(Errno::EALREADY) : finish_connect(false);
        if (!m_connect_reported.exchange(true))
            return finish_connect(true); // the result of a non-blocking attempt
        return Errno::EISCONN;
    }
    if (address.family == abi::k_af_unspec)
        return {};
    Endpoint remote = TRY(check_address(address));
    if (remote.address.is_unspecified())
        remote.address = remote.address.is_v4() ? IpAddress::v4(127, 0, 0, 1) : IpAddress::v6(0, 1);
    if (remote.port == 0)
        return Errno::ECONNREFUSED;
    if (remote.address.is_multicast() || remote.address.is_limited_broadcast())
        return Errno::ENETUNREACH;
    u32 index = remote.interface != 0 ? remote.interface : m_bound_interface;
    Path path = TRY(
        m_stack->find_path(remote.address, m_source_chosen ? m_local.address : IpAddress(), m_stack->interface(index)));
    if (path.interface->is_broadcast(remote.address))
        return Errno::ENETUNREACH;
    TcpSettings settings;
    {
        Locked lock(m_lock);
        settings = m_settings;
    }
    TcpKey key { path.source, remote.address, m_bound ? m_local.port : u16 { 0 }, remote.port };
    auto connection = TRY(m_tcp.open(*this, key, path, settings));
    TcpConnection* raw = connection.get();
    adopt(std::move(connection), { raw->key().local, raw->key().local_port, 0 });
    raw->connect();
    m_stack->finish();
    return finish_connect(nonblocking);
}

Result<> TcpSocket::finish_connect(bool nonblocking)
{
    TcpConnection* connection = m_fast.load(std::memory_order_acquire);
    auto connecting = [connection] {
        auto state = connection->state();
        return state == TcpConnection::State::SynSent || state == TcpConnection::State::SynReceived;
    };
    if (connecting()) {
        m_stack->poll();
        m_stack->finish();
    }
    if (connecting()) {
        if (nonblocking)
            return Errno::EINPROGRESS;
        auto waited = m_stack->wait(m_wait_queue, [&] { return !connecting(); }, send_deadline());
        if (waited.is_error())
            return waited.error() == Errno::ETIMEDOUT || waited.error() == Errno::EAGAIN ? Errno::EINPROGRESS
                                                                                         : waited.error();
    }
    m_connect_reported.store(true);
    if (connection->state() == TcpConnection::State::Closed) {
        Errno error = connection->take_error();
        return error == Errno {} ? Errno::ECONNABORTED : error;
    }
    return {};
}

Result<usize> TcpSocket::send(SendRequest& request)
{
    TcpConnection* connection = m_fast.load(std::memory_order_acquire);
    if (!connection)
        return is_listening() || !m_connect_reported.load() ? Errno::EPIPE : Errno::ENOTCONN;
    if (request.data.is_empty())
        return usize { 0 };
    bool more = (request.flags & abi::k_msg_more) != 0;
    usize total = 0;
    bool polled = false;
    Nanoseconds deadline = Nanoseconds::max();
    while (true) {
        auto sent = connection->send(request.data, more);
        m_stack->finish();
        if (sent.has_value()) {
            total += sent.value();
            if (request.data.is_empty())
                return total;
            polled = false;
        } else if (sent.error() != Errno::EAGAIN) {
            return total > 0 ? Result<usize>(total) : Result<usize>(sent.error());
        }
        if (!polled) {
            // ACKs that make room may have arrived.
            polled = true;
            if (deadline == Nanoseconds::max())
                deadline = send_deadline();
            m_stack->poll();
            continue;
        }
        if (request.nonblocking)
            return total > 0 ? Result<usize>(total) : Result<usize>(Errno::EAGAIN);
        auto waited = m_stack->wait(
            m_wait_queue,
            [&] {
                auto state = connection->state();
                return connection->has_error()
                    || (state != TcpConnection::State::SynSent && state != TcpConnection::State::SynReceived
                        && (connection->is_writable()
                            || (state != TcpConnection::State::Established
                                && state != TcpConnection::State::CloseWait)));
            },
            deadline);
        if (waited.is_error()) {
            if (total > 0)
                return total;
            return waited.error() == Errno::ETIMEDOUT ? Errno::EAGAIN : waited.error();
        }
    }
}

Result<usize> TcpSocket::receive(ReceiveRequest& request)
{
    TcpConnection* connection = m_fast.load(std::memory_order_acquire);
    if (!connection)
        return Errno::ENOTCONN;
    if (request.data.is_empty())
        return usize { 0 };
    bool peek = (request.flags & abi::k_msg_peek) != 0;
    bool all = (request.flags & abi::k_msg_waitall) != 0 && !peek;
    usize total = 0;
    bool polled = false;
    Nanoseconds deadline = Nanoseconds::max();
    while (true) {
        auto got = connection->has_news() ? connection->read(request.data, peek) : Result<usize>(Errno::EAGAIN);
        if (got.has_value()) {
            total += got.value();
            if (request.data.is_empty() || got.value() == 0 || peek || !all) {
                m_stack->finish();
                return total;
            }
        } else if (got.error() != Errno::EAGAIN) {
            return total > 0 ? Result<usize>(total) : Result<usize>(got.error());
        }
        if (!polled) {
            polled = true;
            deadline = receive_deadline();
            // Who may sleep polls first, too.
            if (request.nonblocking) {
                m_stack->poll();
                m_stack->finish();
                continue;
            }
        }
        if (request.nonblocking)
            return total > 0 ? Result<usize>(total) : Result<usize>(Errno::EAGAIN);
        auto waited = m_stack->wait(
            m_wait_queue,
            [&] {
                auto state = connection->state();
                return connection->bytes_to_read() > 0 || connection->peer_is_done() || connection->has_error()
                    || state == TcpConnection::State::Closed || connection->is_receive_shut();
            },
            deadline);
        if (waited.is_error()) {
            if (total > 0)
                return total;
            return waited.error() == Errno::ETIMEDOUT ? Errno::EAGAIN : waited.error();
        }
    }
}

Result<> TcpSocket::shutdown(int how)
{
    if (how != abi::k_shut_rd && how != abi::k_shut_wr && how != abi::k_shut_rdwr)
        return Errno::EINVAL;
    if (is_listening()) {
        if (how == abi::k_shut_wr)
            return Errno::ENOTCONN;
        RefPtr<TcpListener> listener;
        {
            Locked lock(m_lock);
            listener = std::move(m_listener);
        }
        m_listening.store(false, std::memory_order_release);
        if (listener) {
            m_tcp.listeners().remove(*listener);
            listener->close();
        }
        m_wait_queue.wake_all(abi::k_pollin | abi::k_pollhup);
        return {};
    }
    TcpConnection* connection = m_fast.load(std::memory_order_acquire);
    if (!connection || connection->state() == TcpConnection::State::Closed)
        return Errno::ENOTCONN;
    if (how != abi::k_shut_wr)
        connection->shutdown_receive();
    if (how != abi::k_shut_rd)
        TRY(connection->shutdown_send());
    m_stack->finish();
    return {};
}

Result<> TcpSocket::local_address(SocketAddress& address)
{
    show(m_local, address);
    return {};
}

Result<> TcpSocket::peer_address(SocketAddress& address)
{
    TcpConnection* connection = m_fast.load(std::memory_order_acquire);
    if (!connection || connection->state() == TcpConnection::State::Closed
        || connection->state() == TcpConnection::State::SynSent)
        return Errno::ENOTCONN;
    show({ connection->key().remote, connection->key().remote_port, 0 }, address);
    return {};
}

void TcpSocket::apply(void (*change)(TcpSettings&, u64), u64 value)
{
    RefPtr<TcpListener> listener;
    {
        Locked lock(m_lock);
        change(m_settings, value);
        listener = m_listener;
    }
    if (listener)
        listener->change_settings(change, value);
    if (TcpConnection* connection = m_fast.load(std::memory_order_acquire)) {
        connection->change_settings(change, value);
        m_stack->finish();
    }
}

Result<> TcpSocket::set_option(int level, int name, std::span<const u8> value)
{
    if (level == abi::k_sol_tcp)
        return set_tcp_option(name, value);
    TRY(Socket::set_option(level, name, value));
    // Those that the connection needs to know at once.
    if (level == abi::k_sol_socket) {
        switch (name) {
        case abi::k_so_keepalive:
            apply([](TcpSettings& settings, u64 on) { settings.keepalive = on != 0; }, m_keepalive);
            break;
        case abi::k_so_sndbuf:
        case abi::k_so_sndbufforce:
            apply(
                [](TcpSettings& settings, u64 limit) {
                    settings.send_limit = static_cast<u32>(limit);
                    settings.send_limit_fixed = true;
                },
                m_send_limit.load());
            break;
        case abi::k_so_rcvbuf:
        case abi::k_so_rcvbufforce:
            apply(
                [](TcpSettings& settings, u64 limit) {
                    settings.receive_limit = static_cast<u32>(limit / 2);
                    settings.receive_limit_fixed = true;
                },
                m_receive_limit.load());
            break;
        default:
            break;
        }
    } else {
        apply(
            [](TcpSettings& settings, u64 both) {
                settings.hop_limit = static_cast<u8>(both);
                settings.traffic_class = static_cast<u8>(both >> 8);
            },
            u64 { m_traffic_class } << 8 | m_hop_limit);
    }
    return {};
}

Result<> TcpSocket::set_tcp_option(int name, std::span<const u8> value)
{
    if (name == abi::k_tcp_congestion) {
        std::string_view algorithm(reinterpret_cast<const char*>(value.data()), value.size());
        algorithm = algorithm.substr(0, algorithm.find('\0'));
        if (algorithm != "cubic" && algorithm != "reno")
            return Errno::ENOENT;
        apply(
            [](TcpSettings& settings, u64 reno) {
                settings.congestion
                    = reno != 0 ? CongestionControl::Algorithm::Reno : CongestionControl::Algorithm::Cubic;
            },
            algorithm == "reno");
        return {};
    }
    int number = TRY(integer(value));
    u64 unsigned_number = static_cast<u64>(static_cast<i64>(number));
    auto within = [&](int low, int high) { return number >= low && number <= high; };
    switch (name) {
    case abi::k_tcp_nodelay:
        apply([](TcpSettings& settings, u64 on) { settings.no_delay = on != 0; }, unsigned_number);
        return {};
    case abi::k_tcp_cork:
        apply([](TcpSettings& settings, u64 on) { settings.cork = on != 0; }, unsigned_number);
        return {};
    case abi::k_tcp_maxseg:
        if (!within(88, 32767))
            return Errno::EINVAL;
        apply([](TcpSettings& settings, u64 size) { settings.max_segment = static_cast<u16>(size); }, unsigned_number);
        return {};
    case abi::k_tcp_keepidle:
        if (!within(1, 32767))
            return Errno::EINVAL;
        apply([](TcpSettings& settings,
                  u64 n) { settings.keepalive_idle = Nanoseconds::from_seconds(static_cast<i64>(n)); },
            unsigned_number);
        return {};
    case abi::k_tcp_keepintvl:
        if (!within(1, 32767))
            return Errno::EINVAL;
        apply([](TcpSettings& settings,
                  u64 n) { settings.keepalive_interval = Nanoseconds::from_seconds(static_cast<i64>(n)); },
            unsigned_number);
        return {};
    case abi::k_tcp_keepcnt:
        if (!within(1, 127))
            return Errno::EINVAL;
        apply([](TcpSettings& settings, u64 n) { settings.keepalive_probes = static_cast<u32>(n); }, unsigned_number);
        return {};
    case abi::k_tcp_syncnt:
        if (!within(1, 127))
            return Errno::EINVAL;
        apply([](TcpSettings& settings, u64 n) { settings.syn_retries = static_cast<u32>(n); }, unsigned_number);
        return {};
    case abi::k_tcp_linger2:
        apply(
            [](TcpSettings& settings, u64 n) { settings.fin_timeout = Nanoseconds::from_seconds(static_cast<i64>(n)); },
            number <= 0 || number > 120 ? 60 : unsigned_number);
        return {};
    case abi::k_tcp_defer_accept:
        apply([](TcpSettings& settings, u64 n) { settings.defer_accept_seconds = static_cast<u32>(n); },
            number < 0 ? 0 : unsigned_number);
        return {};
    case abi::k_tcp_window_clamp:
        apply([](TcpSettings& settings, u64 n) { settings.window_clamp = static_cast<u32>(n); },
            number < 0 ? 0 : unsigned_number);
        return {};
    case abi::k_tcp_quickack:
        apply([](TcpSettings& settings, u64 on) { settings.quick_ack = on != 0; }, unsigned_number);
        return {};
    case abi::k_tcp_user_timeout:
        if (number < 0)
            return Errno::EINVAL;
        apply([](TcpSettings& settings,
                  u64 n) { settings.user_timeout = Nanoseconds::from_milliseconds(static_cast<i64>(n)); },
            unsigned_number);
        return {};
    case abi::k_tcp_notsent_lowat:
        return {};
    default:
        return Errno::ENOPROTOOPT;
    }
}

Result<usize> TcpSocket::get_option(int level, int name, std::span<u8> value)
{
    if (level == abi::k_sol_socket) {
        if (name == abi::k_so_acceptconn)
            return store_integer(value, is_listening());
        if (name == abi::k_so_error) {
            TcpConnection* connection = m_fast.load(std::memory_order_acquire);
            m_connect_reported.store(true);
            return store_integer(value, connection ? static_cast<int>(connection->take_error()) : 0);
        }
    }
    if (level != abi::k_sol_tcp)
        return Socket::get_option(level, name, value);
    TcpConnection* connection = m_fast.load(std::memory_order_acquire);
    TcpSettings settings;
    if (connection) {
        settings = connection->settings();
    } else {
        Locked lock(m_lock);
        settings = m_settings;
    }
    switch (name) {
    case abi::k_tcp_info: {
        abi::TcpInfo info;
        if (connection)
            connection->fill_info(info);
        else
            info.state = is_listening() ? 10 : 7;
        return store(value, bytes_of(info));
    }
    case abi::k_tcp_nodelay:
        return store_integer(value, settings.no_delay);
    case abi::k_tcp_cork:
        return store_integer(value, settings.cork);
    case abi::k_tcp_maxseg: {
        abi::TcpInfo info;
        if (connection)
            connection->fill_info(info);
        return store_integer(value,
            static_cast<int>(connection         ? info.snd_mss
                    : settings.max_segment != 0 ? settings.max_segment
                                                : 536));
    }
    case abi::k_tcp_keepidle:
        return store_integer(value, static_cast<int>(settings.keepalive_idle.seconds()));
    case abi::k_tcp_keepintvl:
        return store_integer(value, static_cast<int>(settings.keepalive_interval.seconds()));
    case abi::k_tcp_keepcnt:
        return store_integer(value, static_cast<int>(settings.keepalive_probes));
    case abi::k_tcp_syncnt:
        return store_integer(value, static_cast<int>(settings.syn_retries));
    case abi::k_tcp_linger2:
        return store_integer(value, static_cast<int>(settings.fin_timeout.seconds()));
    case abi::k_tcp_defer_accept:
        return store_integer(value, static_cast<int>(settings.defer_accept_seconds));
    case abi::k_tcp_window_clamp:
        return store_integer(value, static_cast<int>(settings.window_clamp));
    case abi::k_tcp_quickack:
        return store_integer(value, settings.quick_ack);
    case abi::k_tcp_user_timeout:
        return store_integer(value, static_cast<int>(settings.user_timeout.milliseconds()));
    case abi::k_tcp_congestion: {
        std::string_view algorithm = settings.congestion == CongestionControl::Algorithm::Reno ? "reno" : "cubic";
        std::array<char, 16> padded {};
        std::ranges::copy(algorithm, padded.begin());
        return store(value, bytes_of(padded));
    }
    default:
        return Errno::ENOPROTOOPT;
    }
}

u32 TcpSocket::readiness()
{
    if (TcpConnection* connection = m_fast.load(std::memory_order_acquire))
        return connection->readiness();
    RefPtr<TcpListener> listener;
    {
        Locked lock(m_lock);
        listener = m_listener;
    }
    if (listener)
        return listener->has_connections() ? abi::k_pollin | abi::k_pollrdnorm : 0;
    return abi::k_pollout | abi::k_pollwrnorm | abi::k_pollhup;
}

Result<usize> TcpSocket::bytes_to_read()
{
    if (is_listening())
        return Errno::EINVAL;
    TcpConnection* connection = m_fast.load(std::memory_order_acquire);
    return connection ? connection->bytes_to_read() : 0;
}

Result<usize> TcpSocket::bytes_to_send()
{
    TcpConnection* connection = m_fast.load(std::memory_order_acquire);
    return connection ? connection->bytes_to_send() : 0;
}

} // namespace eremite::net
