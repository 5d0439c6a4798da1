// TCP connection: what arrives (RFC 9293, 3.10.7).
#include "net/stack.h"
#include "net/tcp/connection.h"

namespace eremite::net {

namespace {

constexpr Nanoseconds k_paws_limit = Nanoseconds::from_seconds(24 * 24 * 3600);
/// Between two challenge ACKs of one connection (RFC 5961, 7).
constexpr Nanoseconds k_challenge_interval = Nanoseconds::from_milliseconds(500);
/// Payload up to this joins the buffer before it instead of holding one of its own.
constexpr u32 k_small_arrival = 512;

} // namespace

void TcpConnection::receive(const TcpHeader& header, const TcpOptions& options, Packet payload)
{
    Locked lock(m_lock);
    Nanoseconds now = stack().now();
    ++m_segments_in;
    switch (state()) {
    case State::Closed:
        return;
    case State::SynSent:
        return receive_syn_sent(header, options, std::move(payload), now);
    default:
        return receive_synchronized(header, options, std::move(payload), now);
    }
}

void TcpConnection::schedule_output()
{
    m_tcp.schedule(*this);
}

void TcpConnection::run_pending()
{
    Locked lock(m_lock);
    m_waits_for_device = false;
    if (state() == State::Closed)
        return;
    output(stack().now());
    update_send_room();
}

void TcpConnection::challenge_ack(Nanoseconds now)
{
    if (now < m_challenge_at)
        return;
    m_challenge_at = now + k_challenge_interval;
    stack().statistics().tcp_challenge_acks.add();
    send_ack(now);
}

void TcpConnection::receive_syn_sent(
    const TcpHeader& header, const TcpOptions& options, Packet payload, Nanoseconds now)
{
    u8 flags = header.flags;
    bool ack = (flags & TcpHeader::k_ack) != 0;
    if (ack && header.acknowledgment != m_snd_nxt) {
        if ((flags & TcpHeader::k_rst) == 0)
            m_tcp.send_bare(
                key(), m_path.interface, { .sequence = header.acknowledgment, .flags = TcpHeader::k_rst }, {});
        return;
    }
    if ((flags & TcpHeader::k_rst) != 0) {
        if (ack) {
            stack().statistics().tcp_attempt_fails.add();
            fail(Errno::ECONNREFUSED);
        }
        return;
    }
    if ((flags & TcpHeader::k_syn) == 0)
        return;
    TcpHandshake handshake = m_handshake;
    handshake.initial_receive = header.sequence;
    handshake.peer_mss = options.mss.value_or(static_cast<u16>(key().remote.is_v4() ? k_default_mss4 : k_default_mss6));
    handshake.sack = options.sack_permitted;
    handshake.timestamps = options.timestamps.has_value();
    handshake.recent_timestamp = options.timestamps ? options.timestamps->value : 0;
    handshake.window_scaling = options.window_scale.has_value();
    handshake.send_scale = options.window_scale.value_or(0);
    handshake.receive_scale = options.window_scale ? k_window_scale : u8 { 0 };
    handshake.peer_window = header.window;
    if (!ack) {
        // Both sides opened at once: answer as if it were a passive open.
        m_handshake = handshake;
        m_rcv_nxt = header.sequence + 1;
        m_rcv_edge = m_rcv_nxt;
        m_snd_wl1 = header.sequence;
        set_state(State::SynReceived);
        send_syn(now);
        return;
    }
    if (m_retries == 0)
        m_rtt.sample(now - m_last_sent);
    m_retries = 0;
    m_rtt.forget_backoff();
    m_snd_una = header.acknowledgment;
    establish(handshake, now);
    m_snd_wl1 = header.sequence;
    m_snd_wl2 = header.acknowledgment;
    m_retransmit_at = Nanoseconds::max();
    m_retransmit_kind = RetransmitKind::None;
    m_ack_now = true;
    if (payload.length() > 0)
        receive_data(header.sequence + 1, std::move(payload), (flags & TcpHeader::k_fin) != 0, now);
    notify(abi::k_pollout);
    schedule_output();
}

/// PAWS, window, RST and SYN: whether the segment is to be looked at further.
bool TcpConnection::check_sequence(const TcpHeader& header, const TcpOptions& options, u32 length, Nanoseconds now)
{
    u32 sequence = header.sequence;
    bool reset = (header.flags & TcpHeader::k_rst) != 0;
    if (m_handshake.timestamps && options.timestamps && !reset
        && static_cast<i32>(options.timestamps->value - m_handshake.recent_timestamp) < 0
        && now - m_recent_timestamp_at < k_paws_limit) {
        stack().statistics().tcp_paws_rejected.add();
        if (length > 0)
            ack_at_once();
        schedule_output();
        return false;
    }
    u32 edge = seq_max(m_rcv_edge, m_rcv_nxt);
    bool acceptable = seq_at_most(m_rcv_nxt, sequence + length) && seq_at_most(sequence, edge);
    if (reset) {
        if (sequence == m_rcv_nxt) {
            bool refused = state() == State::SynReceived;
            fail(refused ? Errno::ECONNREFUSED : state() == State::CloseWait ? Errno::EPIPE : Errno::ECONNRESET);
            stack().statistics().tcp_established_resets.add();
        } else if (acceptable) {
            challenge_ack(now);
        }
        return false;
    }
    if (!acceptable) {
        // An old duplicate: the peer should learn where we are, and by D-SACK that it was needless. A keep-alive or
        // window probe lands here as well.
        if (m_handshake.sack && length > 0 && seq_at_most(sequence + length, m_rcv_nxt))
            m_duplicate_sack = { sequence, sequence + length };
        ack_at_once();
        schedule_output();
        return false;
    }
    if ((header.flags & TcpHeader::k_syn) != 0 && state() != State::SynReceived) {
        challenge_ack(now);
        return false;
    }
    return true;
}

void TcpConnection::receive_synchronized(
    const TcpHeader& header, const TcpOptions& options, Packet payload, Nanoseconds now)
{
    u32 sequence = header.sequence;
    u8 flags = header.flags;
    bool fin = (flags & TcpHeader::k_fin) != 0;
    bool syn = (flags & TcpHeader::k_syn) != 0;
    u32 length = payload.length() + (fin ? 1 : 0);
    if (state() == State::SynReceived && syn) // the peer's SYN-ACK of a simultaneous open
        ++sequence;
    m_last_received = now;
    m_probes = 0;
    TcpHeader moved = header;
    moved.sequence = sequence;
    if (!check_sequence(moved, options, length, now))
        return;
    if ((flags & TcpHeader::k_ack) == 0)
        return;
    if (state() == State::SynReceived) {
        if (header.acknowledgment != m_snd_nxt) {
            send_reset(header.acknowledgment);
            return;
        }
        m_snd_una = header.acknowledgment;
        u32 edge = m_rcv_edge;
        TcpHandshake handshake = m_handshake;
        handshake.peer_window = header.window;
        establish(handshake, now);
        m_rcv_edge = edge;
        m_retransmit_at = Nanoseconds::max();
        m_retries = 0;
        m_snd_wl1 = sequence;
        m_snd_wl2 = header.acknowledgment;
        notify(abi::k_pollout);
    }
    if (m_handshake.timestamps && options.timestamps && seq_at_most(sequence, m_last_ack_sent)) {
        m_handshake.recent_timestamp = options.timestamps->value;
        m_recent_timestamp_at = now;
    }
    if (!process_ack(moved, options, length, now) || state() == State::Closed)
        return;
    if (payload.length() > 0 || fin) {
        if (payload.length() > 0 && m_receive_shut && !m_wait_queue && may_receive()) {
            // Nobody will ever read this (RFC 9293, 3.6.1).
            send_reset(m_snd_nxt);
            become_closed();
            return;
        }
        receive_data(sequence, std::move(payload), fin, now);
    }
    if (state() != State::Closed)
        schedule_output();
}

/// False if the segment is not to be looked at further.
bool TcpConnection::process_ack(const TcpHeader& header, const TcpOptions& options, u32 length, Nanoseconds now)
{
    u32 ack = header.acknowledgment;
    if (seq_less(m_snd_nxt, ack) || seq_less(ack, m_snd_una - m_max_window)) {
        challenge_ack(now); // RFC 5961, 5.2
        return false;
    }
    u32 window = u32 { header.window } << m_handshake.send_scale;
    bool window_changed = window != m_snd_wnd;
    if (seq_less(ack, m_snd_una))
        return true; // old, but its data may be new
    if (seq_less(m_snd_wl1, header.sequence) || (m_snd_wl1 == header.sequence && seq_at_most(m_snd_wl2, ack))) {
        m_snd_wnd = window;
        m_max_window = std::max(m_max_window, window);
        m_snd_wl1 = header.sequence;
        m_snd_wl2 = ack;
        if (window > 0 && m_retransmit_kind == RetransmitKind::WindowProbe) {
            m_retransmit_kind = RetransmitKind::None;
            m_retransmit_at = Nanoseconds::max();
        }
    }
    u32 newly = 0;
    if (options.sack_count > 0 && m_handshake.sack)
        newly = process_sack(options, ack, now);
    u32 outstanding = m_snd_nxt - m_snd_una;
    if (outstanding == 0)
        return true;
    bool was_limited = std::exchange(m_window_limited, false);
    u32 acknowledged = ack - m_snd_una;
    if (acknowledged > 0) {
        u32 doubtful = m_doubtful_bytes;
        newly += take_acknowledged(ack, options, now);
        bool is_needless = doubtful > 0 && m_doubtful_bytes == 0;
        bool fin_acknowledged = m_fin_sent && ack == m_snd_nxt;
        m_snd_una = ack;
        if (seq_less(m_small_end, ack))
            m_small_end = ack;
        m_highest_sacked = seq_max(m_highest_sacked, ack);
        if (is_needless && (m_recovery == Recovery::Timeout || (m_recovery == Recovery::Fast && m_lost_bytes == 0)))
            undo_recovery();
        m_total_acknowledged += acknowledged;
        m_retries = 0;
        m_duplicate_acks = 0;
        m_stalled_since = now;
        m_rtt.forget_backoff();
        if (m_probe_outstanding && seq_at_most(m_probe_end, ack)) {
            // The probe repaired a loss that nothing else told of (RFC 8985, 7.4.2).
            if (m_probe_retransmitted && m_recovery == Recovery::None && !reports_duplicate(options, ack)) {
                m_congestion.enter_recovery(outstanding, now);
                m_congestion.leave_recovery();
            }
            m_probe_outstanding = false;
        }
        if (m_path.neighbour)
            m_path.neighbour->confirm(now);
        if (!m_settings.send_limit_fixed && m_congestion.window() > m_settings.send_limit / 2
            && !m_tcp.is_short_of_memory())
            m_settings.send_limit = std::min(m_congestion.window() * 2 + 65536, k_max_send_limit);
        update_send_room();
        if (fin_acknowledged) {
            switch (state()) {
            case State::FinWait1:
                set_state(State::FinWait2);
                if (!m_wait_queue)
                    m_linger_at = now + m_settings.fin_timeout;
                notify(abi::k_pollout);
                break;
            case State::Closing:
                enter_time_wait(now);
                return false;
            case State::LastAck:
                become_closed();
                notify(abi::k_pollhup | abi::k_pollin | abi::k_pollout);
                return false;
            default:
                break;
            }
        }
    } else if (length == 0 && !window_changed) {
        ++m_duplicate_acks;
    }
    update_recovery(acknowledged, newly, was_limited, now);
    if (acknowledged > 0 || newly > 0)
        arm_retransmit(now);
    return true;
}

/// Whether the first SACK block reports a duplicate.
bool TcpConnection::reports_duplicate(const TcpOptions& options, u32 ack)
{
    return options.sack_count > 0 && seq_at_most(options.sack[0].end, ack);
}

void TcpConnection::enqueue(Packet payload)
{
    u32 length = payload.length();
    if (Packet* last = m_receive_queue.last(); last && length <= k_small_arrival) {
        auto place = last->grow_tail(length);
        if (!place.empty()) {
            payload.copy_out(0, place);
            m_receive_bytes.fetch_add(length, std::memory_order_relaxed);
            return;
        }
    }
    // A reader who lags behind must not hold a page per word.
    if (!m_receive_queue.is_empty() && payload.memory_size() > 4 * length) {
        if (auto copied = payload.copy(0); copied.has_value())
            payload = copied.release_value();
    }
    u32 memory = payload.memory_size();
    m_receive_memory += memory;
    m_tcp.account(memory);
    m_receive_bytes.fetch_add(length, std::memory_order_relaxed);
    m_receive_queue.push_back(std::move(payload));
}

void TcpConnection::receive_data(u32 sequence, Packet payload, bool fin, Nanoseconds now)
{
    if (!may_receive())
        return;
    u32 length = payload.length();
    if (seq_less(sequence, m_rcv_nxt)) {
        u32 old = std::min(m_rcv_nxt - sequence, length);
        if (m_handshake.sack && old > 0)
            m_duplicate_sack = { sequence, sequence + old };
        ack_at_once();
        if (old == length && !(fin && sequence + length == m_rcv_nxt))
            return;
        payload.pull(old);
        sequence += old;
        length -= old;
    }
    u32 edge = seq_max(m_rcv_edge, m_rcv_nxt);
    if (seq_less(edge, sequence + length)) {
        u32 fits = seq_less(sequence, edge) ? edge - sequence : 0;
        ack_at_once();
        fin = false;
        if (fits == 0)
            return;
        payload.truncate(fits);
        length = fits;
    }
    if (fin) {
        m_fin_pending = true;
        m_fin_sequence = sequence + length;
    }
    if (length > 0) {
        m_receive_mss = std::max(m_receive_mss, std::min(length, 1460u));
        u64 memory = u64 { m_receive_memory } + m_out_of_order_memory + payload.memory_size();
        if (memory > 3 * u64 { m_settings.receive_limit } + 65536 || m_tcp.is_short_of_memory())
            prune();
        if (u64 { m_receive_memory } + payload.memory_size() > 4 * u64 { m_settings.receive_limit } + 65536
            || (m_tcp.is_short_of_memory() && m_receive_memory > 65536)) {
            stack().statistics().tcp_pruned.add();
            ack_at_once();
            return; // comes again
        }
        if (sequence != m_rcv_nxt) {
            store_out_of_order(sequence, std::move(payload));
            ack_at_once();
        } else {
            bool had_gap = !m_out_of_order.is_empty();
            m_rcv_nxt += length;
            m_unacknowledged += length;
            m_total_received += length;
            m_last_data_received = now;
            if (!m_receive_shut)
                enqueue(std::move(payload));
            if (had_gap) {
                drain_out_of_order();
                ack_at_once();
            }
            if (m_delayed_ack_at != Nanoseconds::max() && m_unacknowledged >= 2 * m_receive_mss)
                m_delayed_ack_at = Nanoseconds::max();
            notify(abi::k_pollin | abi::k_pollrdnorm);
        }
    }
    if (m_fin_pending && m_fin_sequence == m_rcv_nxt)
        process_fin(now);
}

void TcpConnection::store_out_of_order(u32 sequence, Packet payload)
{
    stack().statistics().tcp_out_of_order.add();
    u32 start = sequence;
    u32 end = sequence + payload.length();
    Packet* before = nullptr;
    for (Packet* place = m_out_of_order.first(); place; place = m_out_of_order.next(place)) {
        Arrival other = place->note<Arrival>();
        if (seq_less(end, other.start) || end == other.start)
            break;
        if (seq_at_most(other.end, start)) {
            before = place;
            continue;
        }
        if (seq_at_most(other.start, start)) {
            // Its beginning is known.
            if (m_handshake.sack)
                m_duplicate_sack = { start, seq_min(other.end, end) };
            if (seq_at_most(end, other.end))
                return remember_sack({ other.start, other.end });
            payload.pull(other.end - start);
            start = other.end;
            before = place;
            continue;
        }
        // It reaches into what follows: keep what is new before that; the rest is there or comes again.
        payload.truncate(other.start - start);
        end = other.start;
        break;
    }
    if (payload.memory_size() > 4 * payload.length()) {
        if (auto copied = payload.copy(0); copied.has_value())
            payload = copied.release_value();
    }
    u32 memory = payload.memory_size();
    m_out_of_order_memory += memory;
    m_tcp.account(memory);
    payload.note<Arrival>() = { start, end };
    if (before)
        m_out_of_order.insert_after(before, std::move(payload));
    else
        m_out_of_order.push_front(std::move(payload));
    // The run that this arrival belongs to is reported first (RFC 2018, 4).
    SequenceRange run { start, start };
    u32 run_start = start;
    for (Packet* place = m_out_of_order.first(); place; place = m_out_of_order.next(place)) {
        Arrival other = place->note<Arrival>();
        if (run.end != other.start) {
            if (seq_less(start, other.start))
                break;
            run_start = other.start;
        }
        run = { run_start, other.end };
    }
    remember_sack(run);
}

void TcpConnection::remember_sack(SequenceRange range)
{
    std::array<SequenceRange, 3> updated {};
    usize count = 0;
    updated[count++] = range;
    for (const SequenceRange& old : m_recent_sacks) {
        bool within = seq_at_most(range.start, old.start) && seq_at_most(old.end, range.end);
        if (!old.is_empty() && !within && count < updated.size())
            updated[count++] = old;
    }
    m_recent_sacks = updated;
}

void TcpConnection::drain_out_of_order()
{
    while (Packet* first = m_out_of_order.first()) {
        Arrival arrival = first->note<Arrival>();
        if (seq_less(m_rcv_nxt, arrival.start))
            break;
        Packet payload = m_out_of_order.pop_front();
        u32 memory = payload.memory_size();
        m_out_of_order_memory -= memory;
        m_tcp.account(-static_cast<i64>(memory));
        if (seq_at_most(arrival.end, m_rcv_nxt))
            continue;
        payload.pull(m_rcv_nxt - arrival.start);
        m_total_received += payload.length();
        m_rcv_nxt = arrival.end;
        if (!m_receive_shut)
            enqueue(std::move(payload));
    }
    for (SequenceRange& range : m_recent_sacks) {
        if (seq_at_most(range.end, m_rcv_nxt))
            range = {};
    }
}

/// Memory is short: what is out of order goes, and comes again (reneging is allowed, RFC 2018, 8).
void TcpConnection::prune()
{
    if (m_out_of_order.is_empty())
        return;
    stack().statistics().tcp_pruned.add();
    m_out_of_order.clear();
    m_tcp.account(-static_cast<i64>(m_out_of_order_memory));
    m_out_of_order_memory = 0;
    m_recent_sacks = {};
}

void TcpConnection::process_fin(Nanoseconds now)
{
    ++m_rcv_nxt;
    m_fin_pending = false;
    m_fin_received.store(true, std::memory_order_release);
    ack_at_once();
    switch (state()) {
    case State::Established:
        set_state(State::CloseWait);
        break;
    case State::FinWait1:
        set_state(State::Closing);
        break;
    case State::FinWait2:
        send_ack(now);
        enter_time_wait(now);
        break;
    default:
        break;
    }
    notify(abi::k_pollin | abi::k_pollrdnorm | abi::k_pollrdhup);
}

void TcpConnection::enter_time_wait(Nanoseconds)
{
    auto& tcp = m_tcp;
    if (tcp.time_wait_count() < Tcp::k_max_time_wait) {
        auto made = make_ref<TcpTimeWait>(tcp, key(), m_snd_nxt, m_rcv_nxt, m_rcv_edge - m_rcv_nxt,
            m_handshake.timestamps, m_handshake.recent_timestamp, m_handshake.timestamp_offset);
        if (made.has_value()) {
            auto entry = made.release_value();
            if (tcp.table().replace(*this, entry)) {
                tcp.stack().statistics().tcp_time_wait.add();
                entry->start();
            }
        }
    }
    become_closed();
    notify(abi::k_pollin | abi::k_pollout | abi::k_pollhup);
}

void TcpConnection::icmp_error(IcmpError error, u32 sequence, u32 mtu)
{
    Locked lock(m_lock);
    // It must quote something that is under way (RFC 5927, 4.1).
    if (state() == State::Closed || seq_less(sequence, m_snd_una) || !seq_less(sequence, m_snd_nxt))
        return;
    Nanoseconds now = stack().now();
    if (error == IcmpError::TooBig) {
        u32 least = key().remote.is_v4() ? 552 : 1280;
        if (mtu >= m_path.mtu)
            return;
        stack().routes().learn_mtu(key().remote, std::max(mtu, least), now);
        stack().paths_changed();
        if (!refresh_path() || !is_synchronized())
            return;
        // What was too big was lost, but not to congestion.
        for (Packet* place = m_sent.first(); place; place = m_sent.next(place)) {
            if (!place->note<Segment>().sacked)
                mark_lost(*place);
        }
        schedule_output();
        return;
    }
    if (state() == State::SynSent || state() == State::SynReceived) {
        // Hard errors end an attempt at once; an established connection is left to its timeouts (RFC 1122, 4.2.3.9).
        fail(errno_of(error));
        stack().statistics().tcp_attempt_fails.add();
    }
}

} // namespace eremite::net
