// TCP connection: everything that happens because time passes. One timer of the wheel serves all deadlines; it is moved
// only when one comes nearer, and looks again when it fires too early.
#include "net/stack.h"
#include "net/tcp/connection.h"

namespace eremite::net {

namespace {

constexpr u8 k_max_retries = 15;
constexpr u8 k_max_orphan_retries = 8;

} // namespace

void TcpConnection::arm_retransmit(Nanoseconds now)
{
    if (m_snd_una == m_snd_nxt) {
        m_retransmit_kind = RetransmitKind::None;
        m_retransmit_at = Nanoseconds::max();
        return;
    }
    Nanoseconds timeout = m_rtt.timeout();
    m_retransmit_kind = RetransmitKind::Timeout;
    m_retransmit_at = now + timeout;
    // A loss probe comes first, if all is well so far (RFC 8985, 7.2).
    bool probe = m_handshake.sack && m_recovery == Recovery::None && m_lost_bytes == 0 && !m_probe_outstanding
        && m_rtt.has_sample() && m_rtt.backoff() == 0 && m_sacked_bytes == 0;
    if (!probe)
        return;
    Nanoseconds wait = m_rtt.smoothed() + m_rtt.smoothed();
    if (m_snd_nxt - m_snd_una <= m_mss)
        wait = wait + Nanoseconds::from_milliseconds(200); // the peer may be delaying its only ACK
    wait = std::max(wait, Nanoseconds::from_milliseconds(10));
    if (wait < timeout) {
        m_retransmit_kind = RetransmitKind::LossProbe;
        m_retransmit_at = now + wait;
    }
}

void TcpConnection::update_timer()
{
    Nanoseconds next
        = std::min({ m_retransmit_at, m_reorder_at, m_delayed_ack_at, m_keepalive_at, m_linger_at, m_cork_at });
    if (next < m_armed_for) {
        m_armed_for = next;
        stack().arm(*this, next);
    }
}

void TcpConnection::expire(Nanoseconds now)
{
    auto self = RefPtr<TcpConnection>::adopt(this);
    {
        Locked lock(m_lock);
        m_armed_for = Nanoseconds::max();
        if (state() == State::Closed)
            return;
        auto due = [&](Nanoseconds& deadline) {
            if (deadline > now)
                return false;
            deadline = Nanoseconds::max();
            return true;
        };
        if (due(m_linger_at)) { // FIN_WAIT2 of a closed socket: the peer has gone without a FIN
            become_closed();
            return;
        }
        if (due(m_keepalive_at))
            keepalive(now);
        if (state() != State::Closed && due(m_reorder_at)) {
            detect_losses(now);
            if (m_lost_bytes > 0 && m_recovery == Recovery::None)
                enter_recovery(now);
            if (m_recovery == Recovery::Fast)
                m_congestion.set_window(std::max(in_flight() + m_mss, m_congestion.window()));
            output(now);
        }
        if (state() != State::Closed && due(m_retransmit_at)) {
            RetransmitKind kind = std::exchange(m_retransmit_kind, RetransmitKind::None);
            u8 limit = m_wait_queue ? k_max_retries : k_max_orphan_retries;
            bool too_long = m_settings.user_timeout.value() > 0 && now - m_stalled_since >= m_settings.user_timeout;
            if (state() == State::SynSent || state() == State::SynReceived) {
                if (m_retries++ >= m_settings.syn_retries || too_long) {
                    stack().statistics().tcp_attempt_fails.add();
                    fail(Errno::ETIMEDOUT);
                    return;
                }
                m_rtt.back_off();
                send_syn(now);
                stack().statistics().tcp_retransmitted_segments.add();
                m_retransmit_kind = RetransmitKind::Timeout;
                m_retransmit_at = now + m_rtt.timeout();
            } else if (kind == RetransmitKind::LossProbe) {
                loss_probe(now);
            } else if (kind == RetransmitKind::WindowProbe) {
                window_probe(now);
            } else if (kind == RetransmitKind::Timeout) {
                if (m_retries >= limit || too_long) {
                    fail(Errno::ETIMEDOUT);
                    return;
                }
                retransmission_timeout(now);
            }
        }
        if (state() != State::Closed && due(m_cork_at)) {
            m_push_held = true;
            output(now);
        }
        if (state() != State::Closed && due(m_delayed_ack_at)) {
            if (m_unacknowledged > 0) {
                stack().statistics().tcp_delayed_acks.add();
                send_ack(now);
            }
        }
        if (state() != State::Closed)
            update_timer();
    }
}

/// The peer's window is closed: ask now and then whether it has opened (RFC 9293, 3.8.6.1).
void TcpConnection::window_probe(Nanoseconds now)
{
    if (m_unsent.is_empty() || m_snd_una != m_snd_nxt || m_snd_wnd >= std::min(m_unsent_bytes, m_mss)) {
        output(now);
        return;
    }
    u8 limit = m_wait_queue ? 255 : k_max_orphan_retries;
    bool too_long = m_settings.user_timeout.value() > 0 && now - m_last_received >= m_settings.user_timeout;
    // A peer that answers may keep its window shut for ever; one that doesn't may not.
    bool silent = m_probes >= k_max_retries
        && now - m_last_received > RttEstimator::k_max_timeout + RttEstimator::k_max_timeout;
    if (m_probes >= limit || too_long || silent) {
        fail(Errno::ETIMEDOUT);
        return;
    }
    if (m_probes < 255)
        ++m_probes;
    send_probe(now);
    m_retransmit_kind = RetransmitKind::WindowProbe;
    i64 wait = m_rtt.timeout().value() << std::min<u8>(m_probes, 10);
    m_retransmit_at = now + std::min(Nanoseconds(wait), RttEstimator::k_max_timeout);
}

void TcpConnection::keepalive(Nanoseconds now)
{
    if (!m_settings.keepalive || !is_synchronized())
        return;
    Nanoseconds quiet = now - std::max(m_last_received, m_last_sent);
    bool busy = m_snd_una != m_snd_nxt || !m_unsent.is_empty();
    if (busy || (quiet < m_settings.keepalive_idle && m_probes == 0)) {
        m_keepalive_at = std::max(m_last_received, m_last_sent) + m_settings.keepalive_idle;
        if (busy)
            m_keepalive_at = now + m_settings.keepalive_idle;
        return;
    }
    bool too_long = m_settings.user_timeout.value() > 0 && quiet >= m_settings.user_timeout && m_probes > 0;
    if (m_probes >= m_settings.keepalive_probes || too_long) {
        send_reset(m_snd_nxt);
        fail(Errno::ETIMEDOUT);
        return;
    }
    ++m_probes;
    stack().statistics().tcp_keepalives.add();
    send_probe(now);
    m_keepalive_at = now + m_settings.keepalive_interval;
}

} // namespace eremite::net
