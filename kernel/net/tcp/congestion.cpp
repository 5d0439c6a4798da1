#include "net/tcp/congestion.h"

#include <algorithm>

namespace eremite::net {

namespace {

constexpr u32 k_max_window = 64u << 20;

u64 cube_root(u64 value)
{
    u64 root = 0;
    for (int shift = 63; shift >= 0; shift -= 3) {
        root *= 2;
        u64 step = 3 * root * (root + 1) + 1;
        if ((value >> shift) >= step) {
            value -= step << shift;
            ++root;
        }
    }
    return root;
}

} // namespace

void CongestionControl::reset(u32 mss, Nanoseconds)
{
    m_mss = mss;
    m_window = initial_window();
    m_threshold = UINT32_MAX;
    m_accumulated = 0;
    m_window_max = 0;
    m_epoch_valid = false;
}

u32 CongestionControl::initial_window() const
{
    return std::min(10 * m_mss, std::max(2 * m_mss, 14600u)); // RFC 6928, 2
}

void CongestionControl::acknowledged(u32 bytes, Nanoseconds smoothed_rtt, Nanoseconds now)
{
    if (m_window >= k_max_window)
        return;
    if (in_slow_start()) {
        // With byte counting; an ACK that covers much counts for much, since stretch ACKs are the rule here.
        u32 step = std::min(bytes, m_threshold - m_window);
        m_window += step;
        bytes -= step;
        if (bytes == 0)
            return;
    }
    if (m_algorithm == Algorithm::Reno) {
        m_accumulated += bytes;
        if (m_accumulated >= m_window) {
            m_accumulated -= m_window;
            m_window += m_mss;
        }
        return;
    }
    u32 target = cubic_target(smoothed_rtt, now);
    // The Reno-friendly estimate grows by alpha = 3 (1 - 0.7) / (1 + 0.7) = 9/17 segments a window (RFC 9438, 4.3).
    m_estimate_accumulated += bytes;
    u32 per_segment = static_cast<u32>(u64 { m_window } * 17 / 9);
    while (m_estimate_accumulated >= std::max(per_segment, 1u)) {
        m_estimate_accumulated -= std::max(per_segment, 1u);
        m_estimate += m_mss;
    }
    target = std::max(target, m_estimate);
    if (target <= m_window)
        return;
    // Towards the target within a round trip: each acknowledged byte adds (target - window) / window.
    u64 grow = u64 { target - m_window } * bytes + m_accumulated;
    m_accumulated = static_cast<u32>(grow % m_window);
    m_window += static_cast<u32>(grow / m_window);
}

u32 CongestionControl::cubic_target(Nanoseconds smoothed_rtt, Nanoseconds now)
{
    if (!m_epoch_valid) {
        m_epoch_valid = true;
        m_epoch = now;
        m_accumulated = 0;
        m_estimate = m_window;
        m_estimate_accumulated = 0;
        m_window_max = std::max(m_window_max, m_window);
        // K = cbrt((W_max - cwnd) / C) seconds, C = 0.4 segments/s^3; in milliseconds.
        u64 segments_times_1000 = u64 { m_window_max - m_window } * 1000 / m_mss;
        m_k_milliseconds = static_cast<i64>(cube_root(segments_times_1000 * 2'500'000));
    }
    // One round trip ahead (RFC 9438, 4.2).
    i64 t = (now - m_epoch).milliseconds() + smoothed_rtt.milliseconds() - m_k_milliseconds;
    t = std::clamp<i64>(t, -1'000'000, 1'000'000);
    // 0.4 * (t/1000)^3 segments, as bytes.
    // In two steps: 128-bit division would come from the application's library.
    i64 delta = t * t * t / 1'000'000 * 4 * m_mss / 10'000;
    i64 target = static_cast<i64>(m_window_max) + delta;
    // Never more than half again in a round trip.
    return static_cast<u32>(std::clamp<i64>(target, m_window, std::min<i64>(i64 { m_window } * 3 / 2, k_max_window)));
}

void CongestionControl::reduce(u32 in_flight, Nanoseconds)
{
    m_prior_window = m_window;
    m_prior_threshold = m_threshold;
    m_prior_window_max = m_window_max;
    u32 basis = m_window;
    if (m_algorithm == Algorithm::Cubic) {
        // Fast convergence: with a window smaller than at the last loss, leave room for others (RFC 9438, 4.7).
        m_window_max = m_window < m_window_max ? static_cast<u32>(u64 { m_window } * 17 / 20) : m_window;
        m_epoch_valid = false;
        m_threshold = std::max(static_cast<u32>(u64 { basis } * 7 / 10), 2 * m_mss);
    } else {
        m_threshold = std::max(std::min(in_flight, basis) / 2, 2 * m_mss);
    }
    m_accumulated = 0;
}

void CongestionControl::enter_recovery(u32 in_flight, Nanoseconds now)
{
    reduce(in_flight, now);
}

void CongestionControl::timeout(u32 in_flight, Nanoseconds now)
{
    reduce(in_flight, now);
    m_window = m_mss;
}

void CongestionControl::undo()
{
    m_window = std::max(m_window, m_prior_window);
    m_threshold = m_prior_threshold;
    m_window_max = m_prior_window_max;
    m_epoch_valid = false;
}

void CongestionControl::restart_after_idle()
{
    m_window = std::min(m_window, std::max(initial_window(), m_mss));
    m_epoch_valid = false;
}

} // namespace eremite::net
