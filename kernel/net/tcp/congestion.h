// Congestion control: CUBIC (RFC 9438) and NewReno's window rules (RFC 5681), in integer arithmetic. Recovery (which
// segments are lost, what is sent meanwhile) is the connection's business; here is only the window.
#pragma once

#include "base/types.h"

namespace eremite::net {

class CongestionControl {
public:
    enum class Algorithm : u8 { Cubic, Reno };

    void reset(u32 mss, Nanoseconds now);
    void select(Algorithm algorithm) { m_algorithm = algorithm; }
    Algorithm algorithm() const { return m_algorithm; }

    /// In bytes.
    u32 window() const { return m_window; }
    u32 threshold() const { return m_threshold; }
    bool in_slow_start() const { return m_window < m_threshold; }
    u32 initial_window() const;
    void set_mss(u32 mss) { m_mss = mss; }

    /// `bytes` were acknowledged outside of recovery, and the window was the limit.
    void acknowledged(u32 bytes, Nanoseconds smoothed_rtt, Nanoseconds now);
    /// Loss found by duplicate ACKs, SACK or RACK: lowers the threshold; the window follows by PRR.
    void enter_recovery(u32 in_flight, Nanoseconds now);
    /// The last enter_recovery() or timeout() was for nothing: the window is what it was before.
    void undo();
    void leave_recovery() { m_window = m_threshold; }
    void set_window(u32 bytes) { m_window = bytes < m_mss ? m_mss : bytes; }
    /// The retransmission timer fired.
    void timeout(u32 in_flight, Nanoseconds now);
    /// Nothing was sent for longer than the retransmission timeout (RFC 5681, 4.1).
    void restart_after_idle();

private:
    void reduce(u32 in_flight, Nanoseconds now);
    u32 cubic_target(Nanoseconds smoothed_rtt, Nanoseconds now);

    Algorithm m_algorithm { Algorithm::Cubic };
    u32 m_mss { 1460 };
    u32 m_window { 0 };
    u32 m_threshold { UINT32_MAX };
    u32 m_prior_window { 0 }; // before the last reduction, as the two that follow
    u32 m_prior_threshold { 0 };
    u32 m_prior_window_max { 0 };
    u32 m_accumulated { 0 }; // acknowledged bytes not yet turned into window
    // CUBIC
    u32 m_window_max { 0 };
    u32 m_estimate { 0 }; // W_est, what Reno would have
    u32 m_estimate_accumulated { 0 };
    i64 m_k_milliseconds { 0 };
    Nanoseconds m_epoch {};
    bool m_epoch_valid { false };
};

} // namespace eremite::net
