#include "net/tcp/connection.h"

#include "net/stack.h"

namespace eremite::net {

namespace {

/// Messages up to this length are worth waiting for company while the device is busy.
constexpr u32 k_worth_gathering = 8192;

} // namespace

TcpConnection::TcpConnection(Tcp& tcp, const TcpKey& key, Path path, const TcpSettings& settings)
    : TcpEntry(Kind::Connection, key)
    , m_tcp(tcp)
    , m_stack(tcp.stack())
    , m_settings(settings)
    , m_path(std::move(path))
{
    m_pseudo_header.add(key.local);
    m_pseudo_header.add(key.remote);
    m_pseudo_header.add16(static_cast<u16>(Protocol::Tcp));
    m_handshake.timestamp_offset = tcp.timestamp_offset(key);
    m_handshake.peer_mss = static_cast<u16>(key.remote.is_v4() ? k_default_mss4 : k_default_mss6);
}

TcpConnection::~TcpConnection()
{
    stack().timers().cancel(*this);
    m_tcp.account(-static_cast<i64>(u64 { m_send_memory } + m_receive_memory + m_out_of_order_memory));
}

void TcpConnection::set_wait_queue(WaitQueue* queue)
{
    Locked lock(m_lock);
    m_wait_queue = queue;
}

void TcpConnection::notify(u32 events)
{
    if (m_wait_queue)
        m_wait_queue->wake_all(events);
}

void TcpConnection::set_state(State state)
{
    State before = this->state();
    auto counts = [](State s) { return s == State::Established || s == State::CloseWait; };
    m_state.store(state, std::memory_order_release);
    if (counts(before) != counts(state))
        stack().statistics().tcp_established.fetch_add(counts(state) ? 1 : -1, std::memory_order_relaxed);
}

/// Ends the connection with an error that the application is told.
void TcpConnection::fail(Errno error)
{
    m_error.store(static_cast<int>(error));
    become_closed();
    notify(abi::k_pollin | abi::k_pollout | abi::k_pollerr | abi::k_pollhup);
}

void TcpConnection::become_closed()
{
    set_state(State::Closed);
    m_sent.clear();
    m_unsent.clear();
    m_out_of_order.clear();
    m_unsent_bytes = 0;
    m_sacked_bytes = m_lost_bytes = m_retransmitted_bytes = 0;
    m_tcp.account(-static_cast<i64>(u64 { m_send_memory } + m_out_of_order_memory));
    m_send_memory = m_out_of_order_memory = 0;
    m_retransmit_at = m_reorder_at = m_delayed_ack_at = m_keepalive_at = m_linger_at = m_cork_at = Nanoseconds::max();
    m_retransmit_kind = RetransmitKind::None;
    m_path.neighbour = nullptr;
    m_tcp.table().remove(*this);
}

void TcpConnection::connect()
{
    Locked lock(m_lock);
    Nanoseconds now = stack().now();
    m_handshake.initial_send = m_tcp.initial_sequence(key());
    m_snd_una = m_snd_nxt = m_handshake.initial_send;
    m_handshake.timestamps = true;
    set_state(State::SynSent);
    stack().statistics().tcp_active_opens.add();
    m_last_sent = m_stalled_since = now;
    send_syn(now);
    m_snd_nxt = m_snd_una + 1;
    m_retransmit_kind = RetransmitKind::Timeout;
    m_retransmit_at = now + m_rtt.timeout();
    update_timer();
}

void TcpConnection::accept(const TcpHandshake& handshake, Nanoseconds round_trip)
{
    Locked lock(m_lock);
    Nanoseconds now = stack().now();
    m_snd_una = m_snd_nxt = handshake.initial_send + 1;
    if (round_trip.value() > 0)
        m_rtt.sample(round_trip);
    establish(handshake, now);
    m_snd_wl1 = m_rcv_nxt;
    m_snd_wl2 = m_snd_una;
    stack().statistics().tcp_passive_opens.add();
}

/// The handshake is done: what was agreed on comes into force.
void TcpConnection::establish(const TcpHandshake& handshake, Nanoseconds now)
{
    m_handshake = handshake;
    m_rcv_nxt = handshake.initial_receive + 1;
    m_rcv_edge = seq_max(m_rcv_edge, m_rcv_nxt);
    m_last_ack_sent = m_rcv_nxt;
    m_recent_timestamp_at = now;
    m_snd_wnd = m_max_window = handshake.peer_window;
    m_small_end = m_highest_sacked = m_snd_una;
    m_tune_start_sequence = m_rcv_nxt;
    m_tune_start = m_last_received = m_last_data_received = m_last_sent = now;
    m_stalled_since = now;
    m_receive_mss = std::min<u32>(m_path.mtu - (key().remote.is_v4() ? 40 : 60), 1460);
    m_quick_acks = 8;
    update_mss();
    m_congestion.select(m_settings.congestion);
    m_congestion.reset(m_mss, now);
    set_state(State::Established);
    update_send_room();
    // The first advertised window counts from the SYN, unscaled.
    m_rcv_edge = seq_max(m_rcv_edge, m_rcv_nxt + std::min<u32>(m_settings.receive_limit, 65535));
    if (m_settings.keepalive) {
        m_keepalive_at = now + m_settings.keepalive_idle;
        update_timer();
    }
}

void TcpConnection::update_mss()
{
    u32 headers = key().remote.is_v4() ? 40 : 60;
    u32 mss = std::min<u32>(m_handshake.peer_mss, m_path.mtu - headers);
    if (m_settings.max_segment != 0)
        mss = std::min<u32>(mss, m_settings.max_segment);
    if (m_handshake.timestamps)
        mss -= 12;
    m_mss = std::max(mss, 48u);
    m_congestion.set_mss(m_mss);
}

/// Finds the path anew if routes or addresses changed. False if there is none now.
bool TcpConnection::refresh_path()
{
    if (m_path.generation == stack().generation()) [[likely]]
        return true;
    auto found = stack().find_path(key().remote, key().local, nullptr);
    if (found.is_error())
        return false;
    m_path = found.release_value();
    update_mss();
    return true;
}

/// A packet of the application's next `length` bytes, with room for headers.
Result<Packet> TcpConnection::gather(IoCursor& data, u32 length)
{
    Packet packet = TRY(Packet::create());
    u32 done = 0;
    while (done < length) {
        u32 headroom = done == 0 ? k_packet_headroom : 0;
        u32 rest = length - done;
        auto size = rest > 3 * Buffer::capacity_of(Buffer::Size::Page) ? Buffer::Size::Large : Buffer::Size::Page;
        auto buffer = Buffer::create(size);
        if (buffer.is_error() && size == Buffer::Size::Large) {
            size = Buffer::Size::Page;
            buffer = Buffer::create(size);
        }
        if (buffer.is_error()) {
            if (done == 0)
                return Errno::ENOBUFS;
            break;
        }
        u32 step = std::min(rest, Buffer::capacity_of(size) - headroom);
        TRY(data.get(buffer.value()->bytes(headroom, step)));
        if (!packet.append(buffer.release_value(), headroom, step))
            break;
        done += step;
    }
    packet.note<Segment>() = { .sent_at = 0,
        .sequence = 0,
        .sacked = false,
        .lost = false,
        .retransmitted = false,
        .ever_retransmitted = false,
        .headroom = true };
    return packet;
}

void TcpConnection::append_small(std::span<const u8> bytes)
{
    if (Packet* last = m_unsent.last(); last && last->length() + bytes.size() <= k_max_super_segment) {
        // Nobody but the send queue writes behind what it has queued.
        auto place = last->grow_tail(static_cast<u32>(bytes.size()), true);
        if (!place.empty()) {
            std::ranges::copy(bytes, place.begin());
            m_unsent_bytes += static_cast<u32>(bytes.size());
            return;
        }
    }
    u32 length = static_cast<u32>(bytes.size());
    // Where a stream of small messages piles up, the next ones will want to join.
    bool piles_up = !m_unsent.is_empty() || m_snd_una != m_snd_nxt;
    auto size = piles_up || k_packet_headroom + length > Buffer::capacity_of(Buffer::Size::Small) ? Buffer::Size::Page
                                                                                                  : Buffer::Size::Small;
    auto created = Packet::create();
    auto buffer = Buffer::create(size);
    if (created.is_error() || buffer.is_error()) {
        // Nothing was promised yet: the caller sees that the queue did not grow.
        return;
    }
    std::ranges::copy(bytes, buffer.value()->bytes(k_packet_headroom, length).begin());
    created.value().append(buffer.release_value(), k_packet_headroom, length);
    created.value().note<Segment>() = { .sent_at = 0,
        .sequence = 0,
        .sacked = false,
        .lost = false,
        .retransmitted = false,
        .ever_retransmitted = false,
        .headroom = true };
    append(created.release_value());
}

void TcpConnection::append(Packet packet)
{
    u32 memory = packet.memory_size();
    m_send_memory += memory;
    m_tcp.account(memory);
    m_unsent_bytes += packet.length();
    Packet* last = m_unsent.last();
    if (last && last->length() + packet.length() <= k_max_super_segment
        && last->fragment_count() + packet.fragment_count() < Packet::k_max_fragments - 1) {
        for (u32 i = 0; i < packet.fragment_count(); ++i) {
            Fragment& fragment = packet.fragment(i);
            last->append(fragment.buffer, fragment.offset, fragment.length);
        }
        return;
    }
    m_unsent.push_back(std::move(packet));
}

void TcpConnection::update_send_room()
{
    i64 room = static_cast<i64>(m_settings.send_limit) - m_send_memory;
    if (!may_send() || m_fin_queued)
        room = 0;
    if (room > 0 && m_tcp.is_short_of_memory() && m_send_memory > 0)
        room = 0;
    i32 before = m_send_room.load(std::memory_order_relaxed);
    i32 after = static_cast<i32>(std::clamp<i64>(room, 0, INT32_MAX));
    m_send_room.store(after, std::memory_order_relaxed);
    // Whoever finds the room must tell those who wait for it: the next to look sees no change any more.
    i32 threshold = static_cast<i32>(m_settings.send_limit / 3);
    if (before <= threshold && after > threshold)
        notify(abi::k_pollout | abi::k_pollwrnorm);
}

Result<usize> TcpConnection::send(IoCursor& data, bool more)
{
    usize total = 0;
    do {
        i32 room = m_send_room.load(std::memory_order_relaxed);
        if (room <= 0) {
            if (total > 0)
                break;
            if (Errno error = take_error(); error != Errno {})
                return error;
            State now_in = state();
            if (now_in == State::SynSent || now_in == State::SynReceived)
                return Errno::EAGAIN;
            if (!may_send())
                return Errno::EPIPE;
            Locked lock(m_lock);
            if (m_fin_queued)
                return Errno::EPIPE;
            update_send_room(); // memory may have become free elsewhere
            if (m_send_room.load(std::memory_order_relaxed) > 0)
                continue;
            return Errno::EAGAIN;
        }
        u32 length = static_cast<u32>(std::min<usize>(data.remaining(), k_max_super_segment));
        if (length <= k_small) {
            std::array<u8, k_small> copy;
            auto bytes = std::span(copy).first(length);
            TRY(data.get(bytes));
            Locked lock(m_lock);
            if (!may_send() || m_fin_queued)
                return total > 0 ? Result<usize>(total) : Result<usize>(Errno::EPIPE);
            m_small_writes = true;
            if (!more && m_unsent.is_empty() && send_directly(bytes, stack().now())) {
                m_more = false;
                update_send_room();
                total += length;
                continue;
            }
            if (!more && join_waiting(bytes)) {
                total += length;
                continue;
            }
            u32 before = m_unsent_bytes;
            append_small(bytes);
            if (m_unsent_bytes == before && length > 0)
                return total > 0 ? Result<usize>(total) : Result<usize>(Errno::ENOBUFS);
            m_more = more;
            output(stack().now());
            update_send_room();
        } else {
            length = std::min(length, std::max<u32>(static_cast<u32>(room), 4096));
            auto gathered = gather(data, length);
            if (gathered.is_error())
                return total > 0 ? Result<usize>(total) : Result<usize>(gathered.error());
            Packet packet = gathered.release_value();
            length = packet.length();
            Locked lock(m_lock);
            if (!may_send() || m_fin_queued)
                return total > 0 ? Result<usize>(total) : Result<usize>(Errno::EPIPE);
            append(std::move(packet));
            m_small_writes = total + length + data.remaining() <= k_worth_gathering;
            m_more = more || data.remaining() > 0;
            output(stack().now());
            update_send_room();
        }
        total += length;
    } while (data.remaining() > 0);
    return total;
}

Result<usize> TcpConnection::read(IoCursor& data, bool peek)
{
    usize wanted = data.remaining();
    if (!peek) {
        if (auto done = read_packet(data); done.is_error() || done.value() > 0)
            return done;
    }
    PacketList taken;
    {
        Locked lock(m_lock);
        if (m_reading)
            return Errno::EAGAIN; // another thread is copying; it wakes us when it is done
        if (m_receive_queue.is_empty()) {
            if (m_fin_received.load(std::memory_order_relaxed) || m_receive_shut)
                return usize { 0 };
            if (Errno error = take_error(); error != Errno {})
                return error;
            if (state() == State::SynSent || state() == State::SynReceived)
                return Errno::EAGAIN;
            return state() == State::Closed ? Result<usize>(usize { 0 }) : Result<usize>(Errno::EAGAIN);
        }
        if (peek) {
            usize shared = 0;
            for (Packet* place = m_receive_queue.first(); place && shared < wanted;
                place = m_receive_queue.next(place)) {
                auto copy = place->share(0, place->length());
                if (copy.is_error())
                    break;
                shared += place->length();
                taken.push_back(copy.release_value());
            }
        } else {
            m_reading = true;
            usize length = 0;
            while (length < wanted && !m_receive_queue.is_empty()) {
                Packet packet = m_receive_queue.pop_front();
                u32 memory = packet.memory_size();
                m_receive_memory -= memory;
                m_tcp.account(-static_cast<i64>(memory));
                length += packet.length();
                taken.push_back(std::move(packet));
            }
        }
    }
    usize done = 0;
    Result<> copied;
    while (!taken.is_empty() && done < wanted) {
        Packet& packet = *taken.first();
        u32 take = 0;
        for (u32 i = 0; i < packet.fragment_count() && done < wanted; ++i) {
            auto bytes = packet.fragment(i).bytes();
            bytes = bytes.first(std::min(bytes.size(), wanted - done));
            copied = data.put(bytes);
            if (copied.is_error())
                break;
            done += bytes.size();
            take += static_cast<u32>(bytes.size());
        }
        if (copied.is_error())
            break;
        if (take < packet.length()) {
            packet.pull(take);
            break;
        }
        taken.pop_front();
    }
    if (!peek) {
        Locked lock(m_lock);
        m_reading = false;
        // What the buffers had no room for goes back to the front.
        if (!taken.is_empty()) {
            for (Packet* place = taken.first(); place; place = taken.next(place)) {
                m_receive_memory += place->memory_size();
                m_tcp.account(place->memory_size());
            }
            taken.append(std::move(m_receive_queue));
            m_receive_queue = std::move(taken);
            notify(abi::k_pollin);
        }
        if (done > 0)
            after_read(done);
    }
    if (copied.is_error() && done == 0)
        return copied.error();
    return done;
}

void TcpConnection::after_read(usize length)
{
    m_receive_bytes.fetch_sub(static_cast<u32>(length), std::memory_order_relaxed);
    m_tune_copied += length;
    tune_receive_buffer(m_last_data_received);
    if (!is_synchronized())
        return;
    // Tell of new room when it is twice what the peer believes to be left (as Linux), or owed ACKs pile up.
    u32 left = seq_less(m_rcv_nxt, m_rcv_edge) ? m_rcv_edge - m_rcv_nxt : 0;
    u32 space = receive_space();
    bool opens = space >= 2 * left && space - left >= std::min<u32>(m_receive_mss, m_settings.receive_limit / 2)
        && may_receive();
    if (opens || m_unacknowledged >= 2 * m_receive_mss) {
        m_ack_now = true;
        output(stack().now());
    }
}

/// Dynamic right-sizing: a reader who takes more than half a window per round trip gets a larger one.
void TcpConnection::tune_receive_buffer(Nanoseconds now)
{
    if (m_settings.receive_limit_fixed)
        return;
    Nanoseconds round_trip = m_rtt.has_sample() ? m_rtt.smoothed() : Nanoseconds::from_milliseconds(10);
    round_trip = std::max(round_trip, Nanoseconds::from_milliseconds(1));
    if (now - m_tune_start < round_trip)
        return;
    if (m_tune_copied * 2 > m_settings.receive_limit && !m_tcp.is_short_of_memory())
        m_settings.receive_limit
            = static_cast<u32>(std::min<u64>(m_tune_copied * 2 + 16 * m_receive_mss, k_max_receive_limit));
    m_tune_copied = 0;
    m_tune_start = now;
}

Result<> TcpConnection::shutdown_send()
{
    Locked lock(m_lock);
    State now_in = state();
    if (now_in == State::SynSent) {
        become_closed();
        notify(abi::k_pollhup);
        return {};
    }
    if (now_in != State::Established && now_in != State::CloseWait)
        return now_in == State::Closed ? Result<>(Errno::ENOTCONN) : Result<>();
    m_fin_queued = true;
    set_state(now_in == State::Established ? State::FinWait1 : State::LastAck);
    update_send_room();
    output(stack().now());
    notify(abi::k_pollout | abi::k_pollhup);
    return {};
}

void TcpConnection::shutdown_receive()
{
    Locked lock(m_lock);
    m_receive_shut = true;
    notify(abi::k_pollin | abi::k_pollrdhup);
}

void TcpConnection::close(bool abort)
{
    Locked lock(m_lock);
    m_wait_queue = nullptr;
    bool unread = !m_receive_queue.is_empty();
    m_receive_queue.clear();
    m_tcp.account(-static_cast<i64>(m_receive_memory));
    m_receive_memory = 0;
    m_receive_bytes.store(0, std::memory_order_relaxed);
    m_receive_shut = true;
    State now_in = state();
    switch (now_in) {
    case State::Closed:
        return;
    case State::SynSent:
    case State::SynReceived:
        become_closed();
        return;
    default:
        break;
    }
    if (abort || unread) {
        // Data that the application never saw: say so (RFC 2525, 2.17).
        send_reset(m_snd_nxt);
        stack().statistics().tcp_established_resets.add();
        become_closed();
        return;
    }
    Nanoseconds now = stack().now();
    if (now_in == State::Established || now_in == State::CloseWait) {
        m_fin_queued = true;
        set_state(now_in == State::Established ? State::FinWait1 : State::LastAck);
        update_send_room();
        output(now);
    }
    // Nobody waits any longer: don't hold memory for a peer that never answers.
    m_keepalive_at = Nanoseconds::max();
    if (state() == State::FinWait2)
        m_linger_at = now + m_settings.fin_timeout;
    update_timer();
}

void TcpConnection::push()
{
    Locked lock(m_lock);
    if (is_synchronized()) {
        m_more = false;
        output(stack().now());
        update_send_room();
    }
}

void TcpConnection::change_settings(void (*change)(TcpSettings&, u64), u64 value)
{
    Locked lock(m_lock);
    bool corked = m_settings.cork;
    bool keepalive = m_settings.keepalive;
    bool delayed = !m_settings.no_delay;
    change(m_settings, value);
    Nanoseconds now = stack().now();
    m_congestion.select(m_settings.congestion);
    if (!is_synchronized())
        return;
    update_send_room();
    if ((corked && !m_settings.cork) || (delayed && m_settings.no_delay) || m_settings.quick_ack) {
        m_more = false;
        if (m_settings.quick_ack && m_unacknowledged > 0)
            m_ack_now = true;
        output(now);
    }
    if (keepalive != m_settings.keepalive || m_settings.keepalive) {
        m_keepalive_at = m_settings.keepalive ? std::max(m_last_received, m_last_sent) + m_settings.keepalive_idle
                                              : Nanoseconds::max();
        m_probes = 0;
    }
    update_timer();
}

TcpSettings TcpConnection::settings()
{
    Locked lock(m_lock);
    return m_settings;
}

bool TcpConnection::is_send_queue_empty()
{
    Locked lock(m_lock);
    return m_sent.is_empty() && m_unsent.is_empty();
}

usize TcpConnection::bytes_to_send()
{
    Locked lock(m_lock);
    return is_synchronized() ? m_snd_nxt - m_snd_una + m_unsent_bytes : 0;
}

usize TcpConnection::bytes_unsent()
{
    Locked lock(m_lock);
    return m_unsent_bytes;
}

u32 TcpConnection::readiness()
{
    u32 events = 0;
    State now_in = state();
    bool done = peer_is_done();
    Locked lock(m_lock);
    if (m_receive_bytes.load(std::memory_order_relaxed) > 0 || done || m_receive_shut || now_in == State::Closed)
        events |= abi::k_pollin | abi::k_pollrdnorm;
    if (done || m_receive_shut || now_in == State::Closed)
        events |= abi::k_pollrdhup;
    // Writable with a third of the buffer free, as Linux; a write that fails at once counts as well.
    bool sending_over = m_fin_queued || now_in == State::Closed;
    i32 room = m_send_room.load(std::memory_order_relaxed);
    if (sending_over || (may_send() && room > static_cast<i32>(m_settings.send_limit / 3)))
        events |= abi::k_pollout | abi::k_pollwrnorm;
    if ((done || m_receive_shut) && sending_over)
        events |= abi::k_pollhup;
    if (now_in == State::Closed)
        events |= abi::k_pollhup;
    if (has_error())
        events |= abi::k_pollerr;
    return events;
}

void TcpConnection::fill_info(abi::TcpInfo& info)
{
    Locked lock(m_lock);
    Nanoseconds now = stack().now();
    auto microseconds
        = [](Nanoseconds time) { return static_cast<u32>(std::clamp<i64>(time.microseconds(), 0, UINT32_MAX)); };
    auto since = [&](Nanoseconds time) { return static_cast<u32>((now - time).milliseconds()); };
    info.state = static_cast<u8>(state());
    info.ca_state = m_recovery == Recovery::None ? 0 : m_recovery == Recovery::Fast ? 3 : 4;
    info.retransmits = m_retries;
    info.probes = m_probes;
    info.backoff = m_rtt.backoff();
    info.options = static_cast<u8>(
        (m_handshake.timestamps ? 1 : 0) | (m_handshake.sack ? 2 : 0) | (m_handshake.window_scaling ? 4 : 0));
    info.window_scales = static_cast<u8>(m_handshake.send_scale | m_handshake.receive_scale << 4);
    info.rto = microseconds(m_rtt.timeout());
    info.ato = 40'000;
    info.snd_mss = m_mss;
    info.rcv_mss = m_receive_mss;
    info.unacked = (m_snd_nxt - m_snd_una + m_mss - 1) / m_mss;
    info.sacked = m_sacked_bytes / m_mss;
    info.lost = m_lost_bytes / m_mss;
    info.retrans = m_retransmitted_bytes / m_mss;
    info.last_data_sent = since(m_last_sent);
    info.last_data_recv = since(m_last_data_received);
    info.last_ack_recv = since(m_last_received);
    info.pmtu = m_path.mtu;
    info.rcv_ssthresh = m_settings.receive_limit;
    info.rtt = microseconds(m_rtt.smoothed());
    info.rttvar = microseconds(m_rtt.variation());
    info.min_rtt = microseconds(m_rtt.minimum());
    info.snd_ssthresh = m_congestion.threshold() == UINT32_MAX ? 0x7fffffff : m_congestion.threshold() / m_mss;
    info.snd_cwnd = m_congestion.window() / m_mss;
    info.advmss = m_path.mtu - (key().remote.is_v4() ? 40 : 60);
    info.reordering = 3;
    info.rcv_space = m_settings.receive_limit;
    info.total_retrans = m_total_retransmissions;
    info.bytes_acked = m_total_acknowledged;
    info.bytes_received = m_total_received;
    info.bytes_sent = m_total_sent;
    info.segs_out = m_segments_out;
    info.segs_in = m_segments_in;
    info.notsent_bytes = m_unsent_bytes;
    info.snd_wnd = m_snd_wnd;
}

} // namespace eremite::net
