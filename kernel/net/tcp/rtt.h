// Round-trip time and the retransmission timeout (RFC 6298), in nanoseconds.
#pragma once

#include "base/types.h"
#include <algorithm>

namespace eremite::net {

class RttEstimator {
public:
    static constexpr Nanoseconds k_initial_timeout = Nanoseconds::from_seconds(1);
    /// Below RFC 6298's second, as every implementation that meets delayed ACKs of 40 to 100 ms does.
    static constexpr Nanoseconds k_min_timeout = Nanoseconds::from_milliseconds(200);
    static constexpr Nanoseconds k_max_timeout = Nanoseconds::from_seconds(120);

    void sample(Nanoseconds rtt)
    {
        i64 r = std::max<i64>(rtt.value(), 1);
        if (m_smoothed == 0) {
            m_smoothed = r;
            m_variation = r / 2;
        } else {
            i64 difference = r > m_smoothed ? r - m_smoothed : m_smoothed - r;
            m_variation += (difference - m_variation) / 4;
            m_smoothed += (r - m_smoothed) / 8;
        }
        m_minimum = m_minimum == 0 ? r : std::min(m_minimum, r);
        m_latest = r;
        m_backoff = 0;
    }
    bool has_sample() const { return m_smoothed != 0; }
    Nanoseconds smoothed() const { return Nanoseconds(m_smoothed); }
    Nanoseconds variation() const { return Nanoseconds(m_variation); }
    Nanoseconds minimum() const { return Nanoseconds(m_minimum); }
    Nanoseconds latest() const { return Nanoseconds(m_latest); }
    u8 backoff() const { return m_backoff; }
    void back_off() { m_backoff = std::min<u8>(m_backoff + 1, 16); }
    void forget_backoff() { m_backoff = 0; }

    Nanoseconds timeout() const
    {
        Nanoseconds base = k_initial_timeout;
        if (m_smoothed != 0)
            base = std::max(Nanoseconds(m_smoothed + 4 * m_variation), k_min_timeout);
        i64 value = base.value();
        for (u8 i = 0; i < m_backoff && value < k_max_timeout.value(); ++i)
            value *= 2;
        return std::min(Nanoseconds(value), k_max_timeout);
    }

private:
    i64 m_smoothed { 0 };
    i64 m_variation { 0 };
    i64 m_minimum { 0 };
    i64 m_latest { 0 };
    u8 m_backoff { 0 };
};

} // namespace eremite::net
