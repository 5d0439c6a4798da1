#include "net/tcp/listener.h"

#include "net/stack.h"

namespace eremite::net {

namespace {

/// What a cookie can tell of the peer's MSS.
constexpr std::array<u16, 8> k_cookie_mss { 216, 536, 1024, 1220, 1300, 1440, 1460, 8960 };
constexpr Nanoseconds k_cookie_period = Nanoseconds::from_seconds(64);
/// The low bits of a cookie's timestamp: window scale (15: none) and SACK.
constexpr u32 k_cookie_scale_mask = 15;
constexpr u32 k_cookie_sack = 16;
constexpr u32 k_cookie_bits = 5;
constexpr u8 k_max_syn_ack_retries = 5;

u32 advertised_mss(Stack& stack, const TcpKey& key)
{
    auto path = stack.find_path(key.remote, key.local, nullptr);
    u32 mtu = path.has_value() ? path.value().mtu : 1280;
    return std::min(mtu - (key.remote.is_v4() ? 40 : 60), 65535u);
}

} // namespace

TcpRequest::TcpRequest(
    Tcp& tcp, const TcpKey& key, RefPtr<TcpListener> listener, const TcpHandshake& handshake, Interface* interface)
    : TcpEntry(Kind::Request, key)
    , m_tcp(tcp)
    , m_listener(std::move(listener))
    , m_handshake(handshake)
    , m_interface(interface)
{
    m_listener->m_requests.fetch_add(1, std::memory_order_relaxed);
}

TcpRequest::~TcpRequest()
{
    m_tcp.stack().timers().cancel(*this);
    m_listener->m_requests.fetch_sub(1, std::memory_order_relaxed);
}

void TcpRequest::send_syn_ack()
{
    Stack& stack = m_tcp.stack();
    TcpSettings settings = m_listener->settings();
    u32 mss = advertised_mss(stack, key());
    if (settings.max_segment != 0)
        mss = std::min<u32>(mss, settings.max_segment);
    TcpOptions options;
    options.mss = static_cast<u16>(mss);
    options.sack_permitted = m_handshake.sack;
    if (m_handshake.window_scaling)
        options.window_scale = m_handshake.receive_scale;
    if (m_handshake.timestamps)
        options.timestamps
            = TcpTimestamps { static_cast<u32>(stack.now().milliseconds()) + m_handshake.timestamp_offset,
                  m_handshake.recent_timestamp };
    m_tcp.send_bare(key(), m_interface,
        { .sequence = m_handshake.initial_send,
            .acknowledgment = m_handshake.initial_receive + 1,
            .flags = TcpHeader::k_syn | TcpHeader::k_ack,
            .window = static_cast<u16>(std::min<u32>(settings.receive_limit, 65535)),
            .hop_limit = settings.hop_limit,
            .traffic_class = settings.traffic_class },
        options);
}

void TcpRequest::start()
{
    m_sent_at = m_tcp.stack().now();
    send_syn_ack();
    m_tcp.stack().arm(*this, m_sent_at + Nanoseconds::from_seconds(1));
}

void TcpRequest::expire(Nanoseconds now)
{
    auto self = RefPtr<TcpRequest>::adopt(this);
    if (m_retries >= k_max_syn_ack_retries)
        return drop();
    ++m_retries;
    // While data is awaited the SYN-ACK goes again too: the peer answers with an ACK, and then at last with data.
    m_tcp.stack().statistics().tcp_retransmitted_segments.add();
    send_syn_ack();
    m_tcp.stack().arm(*this, now + Nanoseconds::from_seconds(i64 { 1 } << m_retries));
}

void TcpRequest::drop()
{
    m_tcp.stack().timers().cancel(*this);
    m_tcp.table().remove(*this);
}

void TcpRequest::receive(const IpInfo& info, const TcpHeader& header, const TcpOptions& options, Packet payload)
{
    Stack& stack = m_tcp.stack();
    u8 flags = header.flags;
    u32 sequence = header.sequence;
    u32 expected = m_handshake.initial_receive + 1;
    if ((flags & TcpHeader::k_rst) != 0) {
        if (sequence == expected) {
            stack.statistics().tcp_attempt_fails.add();
            drop();
        }
        return;
    }
    if ((flags & TcpHeader::k_syn) != 0) {
        if (sequence == m_handshake.initial_receive && (flags & TcpHeader::k_ack) == 0)
            send_syn_ack(); // ours got lost
        return;
    }
    if ((flags & TcpHeader::k_ack) == 0)
        return;
    if (header.acknowledgment != m_handshake.initial_send + 1)
        return m_tcp.send_reset_for(info, header, payload.length());
    if (m_handshake.timestamps && options.timestamps
        && static_cast<i32>(options.timestamps->value - m_handshake.recent_timestamp) < 0)
        return stack.statistics().tcp_paws_rejected.add();
    // Data that starts beyond what was promised is of another connection.
    if (seq_less(sequence + payload.length() + 1, expected) || seq_less(expected + 65535, sequence))
        return send_syn_ack();
    TcpSettings settings = m_listener->settings();
    if (settings.defer_accept_seconds != 0 && payload.length() == 0 && (flags & TcpHeader::k_fin) == 0
        && m_retries < 3) {
        m_acknowledged = true;
        return;
    }
    if (!m_listener->has_room()) {
        // The peer believes to be connected and will send again; perhaps there is room then.
        stack.statistics().tcp_listen_overflows.add();
        m_acknowledged = true;
        return;
    }
    auto path = stack.find_path(key().remote, key().local, nullptr);
    if (path.is_error())
        return drop();
    auto made = make_ref<TcpConnection>(m_tcp, key(), path.release_value(), settings);
    if (made.is_error())
        return stack.statistics().tcp_listen_drops.add();
    auto connection = made.release_value();
    m_handshake.peer_window = u32 { header.window } << m_handshake.send_scale;
    connection->accept(m_handshake, m_retries == 0 ? stack.now() - m_sent_at : Nanoseconds {});
    if (!m_tcp.table().replace(*this, connection))
        return;
    stack.timers().cancel(*this);
    if (!m_listener->complete(connection))
        return connection->close(true);
    connection->receive(header, options, std::move(payload));
}

TcpListener::TcpListener(
    Tcp& tcp, Endpoint local, bool v6_only, u32 interface, const TcpSettings& settings, WaitQueue& queue)
    : m_tcp(tcp)
    , m_local(local)
    , m_v6_only(v6_only)
    , m_interface(interface)
    , m_settings(settings)
    , m_wait_queue(&queue)
{
}

TcpListener::~TcpListener()
{
    close();
}

TcpSettings TcpListener::settings()
{
    Locked lock(m_lock);
    return m_settings;
}

void TcpListener::change_settings(void (*change)(TcpSettings&, u64), u64 value)
{
    Locked lock(m_lock);
    change(m_settings, value);
}

bool TcpListener::has_room()
{
    return m_queued.load(std::memory_order_acquire) <= m_backlog.load(std::memory_order_relaxed);
}

bool TcpListener::complete(RefPtr<TcpConnection> connection)
{
    Locked lock(m_lock);
    if (m_closed)
        return false;
    m_queue.push_back(*connection.leak());
    m_queued.fetch_add(1, std::memory_order_release);
    if (m_wait_queue)
        m_wait_queue->wake(1, abi::k_pollin | abi::k_pollrdnorm);
    return true;
}

RefPtr<TcpConnection> TcpListener::take()
{
    Locked lock(m_lock);
    if (m_queue.empty())
        return {};
    auto connection = RefPtr<TcpConnection>::adopt(&m_queue.front());
    m_queue.pop_front();
    m_queued.fetch_sub(1, std::memory_order_release);
    return connection;
}

void TcpListener::close()
{
    {
        Locked lock(m_lock);
        m_closed = true;
        m_wait_queue = nullptr;
    }
    while (auto connection = take())
        connection->close(true);
}

u32 TcpListener::cookie(const TcpKey& key, u32 peer_sequence, u32 mss_index, u32 minute)
{
    std::array<u64, 6> words { key.local.high(), key.local.low(), key.remote.high(), key.remote.low(),
        u64 { key.local_port } << 48 | u64 { key.remote_port } << 32 | peer_sequence,
        u64 { 1 } << 63 | minute << 3 | mss_index };
    return static_cast<u32>(siphash(m_tcp.stack().secret(), words)) & 0x00ff'ffff;
}

void TcpListener::receive_syn(const IpInfo& info, const TcpKey& key, const TcpHeader& header, const TcpOptions& options)
{
    Stack& stack = m_tcp.stack();
    if (!has_room()) {
        stack.statistics().tcp_listen_overflows.add();
        return;
    }
    TcpHandshake handshake;
    handshake.initial_receive = header.sequence;
    handshake.peer_mss = options.mss.value_or(
        static_cast<u16>(key.remote.is_v4() ? TcpConnection::k_default_mss4 : TcpConnection::k_default_mss6));
    handshake.sack = options.sack_permitted;
    handshake.timestamps = options.timestamps.has_value();
    handshake.recent_timestamp = options.timestamps ? options.timestamps->value : 0;
    handshake.timestamp_offset = m_tcp.timestamp_offset(key);
    handshake.window_scaling = options.window_scale.has_value();
    handshake.send_scale = options.window_scale.value_or(0);
    handshake.receive_scale = options.window_scale ? TcpConnection::k_window_scale : u8 { 0 };
    u32 limit = std::clamp(m_backlog.load(std::memory_order_relaxed), 16u, k_max_requests);
    if (m_requests.load(std::memory_order_relaxed) < limit) {
        handshake.initial_send = m_tcp.initial_sequence(key);
        auto request = make_ref<TcpRequest>(m_tcp, key, RefPtr<TcpListener>(this), handshake, info.interface);
        if (request.has_value() && m_tcp.table().insert(request.value()).has_value())
            return request.value()->start();
        return stack.statistics().tcp_listen_drops.add();
    }
    // Under pressure: remember nothing, put what is needed into the numbers that the peer gives back (RFC 4987, 3.6).
    Nanoseconds now = stack.now();
    m_last_cookie.store(now.value(), std::memory_order_relaxed);
    stack.statistics().tcp_syn_cookies_sent.add();
    u32 index = 0;
    while (index + 1 < k_cookie_mss.size() && k_cookie_mss[index + 1] <= handshake.peer_mss)
        ++index;
    u32 minute = static_cast<u32>(now.value() / k_cookie_period.value());
    TcpOptions reply;
    reply.mss = static_cast<u16>(advertised_mss(stack, key));
    if (handshake.timestamps) {
        // Scaling and SACK can only be remembered where there is a timestamp to hold them.
        u32 bits = (options.window_scale ? handshake.send_scale : k_cookie_scale_mask)
            | (handshake.sack ? k_cookie_sack : 0);
        u32 value = static_cast<u32>(now.milliseconds()) + handshake.timestamp_offset;
        u32 with_bits = (value & ~((1u << k_cookie_bits) - 1)) | bits;
        if (static_cast<i32>(with_bits - value) > 0)
            with_bits -= 1u << k_cookie_bits;
        reply.timestamps = TcpTimestamps { with_bits, handshake.recent_timestamp };
        reply.sack_permitted = handshake.sack;
        if (handshake.window_scaling)
            reply.window_scale = handshake.receive_scale;
    }
    u32 sequence = (minute & 31) << 27 | index << 24 | cookie(key, header.sequence, index, minute);
    m_tcp.send_bare(key, info.interface,
        { .sequence = sequence,
            .acknowledgment = header.sequence + 1,
            .flags = TcpHeader::k_syn | TcpHeader::k_ack,
            .window = static_cast<u16>(std::min<u32>(settings().receive_limit, 65535)) },
        reply);
}

bool TcpListener::receive_cookie(
    const IpInfo&, const TcpKey& key, const TcpHeader& header, const TcpOptions& options, Packet payload)
{
    Stack& stack = m_tcp.stack();
    Nanoseconds now = stack.now();
    i64 last = m_last_cookie.load(std::memory_order_relaxed);
    if (last == INT64_MIN || now - Nanoseconds(last) > k_cookie_period + k_cookie_period)
        return false;
    u32 value = header.acknowledgment - 1;
    u32 peer_sequence = header.sequence - 1;
    u32 index = value >> 24 & 7;
    u32 minute = static_cast<u32>(now.value() / k_cookie_period.value());
    u32 age = (minute - (value >> 27)) & 31;
    if (age > 1 || (value & 0x00ff'ffff) != cookie(key, peer_sequence, index, minute - age)) {
        stack.statistics().tcp_syn_cookies_failed.add();
        return false;
    }
    if (!has_room()) {
        stack.statistics().tcp_listen_overflows.add();
        return true; // comes again
    }
    TcpHandshake handshake;
    handshake.initial_send = value;
    handshake.initial_receive = peer_sequence;
    handshake.peer_mss = k_cookie_mss[index];
    handshake.timestamp_offset = m_tcp.timestamp_offset(key);
    if (options.timestamps) {
        u32 bits = options.timestamps->echo & ((1u << k_cookie_bits) - 1);
        handshake.timestamps = true;
        handshake.recent_timestamp = options.timestamps->value;
        handshake.sack = (bits & k_cookie_sack) != 0;
        u8 scale = static_cast<u8>(bits & k_cookie_scale_mask);
        if (scale != k_cookie_scale_mask) {
            handshake.window_scaling = true;
            handshake.send_scale = scale;
            handshake.receive_scale = TcpConnection::k_window_scale;
        }
    }
    handshake.peer_window = u32 { header.window } << handshake.send_scale;
    auto path = stack.find_path(key.remote, key.local, nullptr);
    if (path.is_error())
        return true;
    auto made = make_ref<TcpConnection>(m_tcp, key, path.release_value(), settings());
    if (made.is_error())
        return true;
    auto connection = made.release_value();
    connection->accept(handshake, {});
    if (m_tcp.table().insert(connection).is_error())
        return true;
    stack.statistics().tcp_syn_cookies_received.add();
    if (!complete(connection)) {
        connection->close(true);
        return true;
    }
    connection->receive(header, options, std::move(payload));
    return true;
}

void TcpListeners::add(TcpListener& listener)
{
    Locked lock(m_lock);
    m_buckets[listener.local().port % k_buckets].push_back(listener);
}

void TcpListeners::remove(TcpListener& listener)
{
    Locked lock(m_lock);
    if (listener.hook.is_linked()) {
        auto& bucket = m_buckets[listener.local().port % k_buckets];
        bucket.erase(bucket.iterator_to(listener));
    }
}

RefPtr<TcpListener> TcpListeners::find(const TcpKey& key, u32 interface, u64 hash)
{
    Locked lock(m_lock);
    TcpListener* best = nullptr;
    int best_score = -1;
    u32 equals = 0;
    for (TcpListener& listener : m_buckets[key.local_port % k_buckets]) {
        const Endpoint& local = listener.local();
        if (local.port != key.local_port || (listener.interface() != 0 && listener.interface() != interface))
            continue;
        int score = listener.interface() != 0 ? 4 : 0;
        if (!local.address.is_unspecified()) {
            if (local.address != key.local)
                continue;
            score += 2;
        } else if (key.local.is_v4() ? local.address.is_v6() && listener.v6_only() : local.address.is_v4()) {
            continue;
        }
        if (local.address.is_v4() == key.local.is_v4())
            score += 1;
        if (score > best_score) {
            best = &listener;
            best_score = score;
            equals = 1;
        } else if (score == best_score) {
            ++equals;
            if (hash % equals == 0)
                best = &listener;
        }
    }
    if (!best || !best->try_ref())
        return {};
    return RefPtr<TcpListener>::adopt(best);
}

TcpTimeWait::TcpTimeWait(Tcp& tcp, const TcpKey& key, u32 send_next, u32 receive_next, u32 window, bool timestamps,
    u32 recent_timestamp, u32 timestamp_offset)
    : TcpEntry(Kind::TimeWait, key)
    , m_tcp(tcp)
    , m_send_next(send_next)
    , m_receive_next(receive_next)
    , m_window(window)
    , m_timestamps(timestamps)
    , m_recent_timestamp(recent_timestamp)
    , m_timestamp_offset(timestamp_offset)
{
    m_tcp.time_wait_added();
}

TcpTimeWait::~TcpTimeWait()
{
    m_tcp.stack().timers().cancel(*this);
    m_tcp.time_wait_removed();
}

void TcpTimeWait::start()
{
    m_since = m_tcp.stack().now();
    m_tcp.stack().arm(*this, m_since + Tcp::k_time_wait);
}

void TcpTimeWait::expire(Nanoseconds)
{
    auto self = RefPtr<TcpTimeWait>::adopt(this);
    m_tcp.table().remove(*this);
}

bool TcpTimeWait::may_reuse(Nanoseconds now, u32& sequence) const
{
    sequence = m_send_next + 65535 + 2;
    return m_timestamps && now - m_since >= Nanoseconds::from_seconds(1);
}

bool TcpTimeWait::receive(const IpInfo&, const TcpHeader& header, const TcpOptions& options, u32 length)
{
    u8 flags = header.flags;
    bool newer
        = options.timestamps && m_timestamps && static_cast<i32>(options.timestamps->value - m_recent_timestamp) > 0;
    if ((flags & (TcpHeader::k_syn | TcpHeader::k_rst | TcpHeader::k_ack)) == TcpHeader::k_syn
        && (seq_less(m_receive_next + m_window, header.sequence) || seq_less(m_receive_next, header.sequence)
            || newer)) {
        m_tcp.table().remove(*this);
        return true;
    }
    if ((flags & TcpHeader::k_rst) != 0)
        return false; // RFC 1337: a stray RST must not end TIME_WAIT early
    // A repeated FIN: our last ACK was lost, and the wait begins anew.
    TcpOptions reply;
    if (m_timestamps)
        reply.timestamps = TcpTimestamps { static_cast<u32>(m_tcp.stack().now().milliseconds()) + m_timestamp_offset,
            m_recent_timestamp };
    if (length > 0 || (flags & (TcpHeader::k_fin | TcpHeader::k_syn)) != 0) {
        m_tcp.send_bare(key(), nullptr,
            { .sequence = m_send_next,
                .acknowledgment = m_receive_next,
                .flags = TcpHeader::k_ack,
                .window = static_cast<u16>(std::min<u32>(m_window, 65535)) },
            reply);
    }
    if ((flags & TcpHeader::k_fin) != 0)
        m_tcp.stack().arm(*this, m_tcp.stack().now() + Tcp::k_time_wait);
    return false;
}

} // namespace eremite::net
