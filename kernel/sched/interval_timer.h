// A timer on any of Linux's clocks, once or again and again: what POSIX timers, interval timers and timerfd have in
// common. One that is set to a time of the wall clock follows when that is set; a span of time doesn't change by it.
#pragma once

#include "base/chain.h"
#include "base/result.h"
#include "sched/timer.h"
#include "sync/spin_lock.h"

namespace eremite {

/// Calls back in interrupt context with the number of expirations since the last call: more than 1 if it came late.
class IntervalTimer {
public:
    using Callback = void (*)(IntervalTimer&, u64 expirations);
    struct Setting {
        Nanoseconds value {}; // until it expires; 0: not armed
        Nanoseconds interval {}; // 0: once
    };

    /// `clock` is one that clock_now() knows. A thread makes and destroys it, holding no spin lock.
    IntervalTimer(int clock, Callback callback);
    ~IntervalTimer();
    IntervalTimer(const IntervalTimer&) = delete;
    IntervalTimer& operator=(const IntervalTimer&) = delete;

    /// Arms it to expire `value` from now or, if `is_absolute`, when the clock shows `value`; or disarms it (value 0).
    /// Returns what it was set to. After that the callback for an earlier setting is over.
    Setting set(const Setting& setting, bool is_absolute);
    Setting get();
    int clock() const { return m_clock; }

private:
    /// The wall clock was set: look again at when to expire.
    static void realtime_was_set();
    void look_again();
    static void on_timer(Timer& timer);
    void expire();
    void arm() REQUIRES(m_lock);
    Setting get_locked() REQUIRES(m_lock);
    Nanoseconds now() const REQUIRES(m_lock);

    const int m_clock;
    const Callback m_callback;
    SpinLock m_set_lock; // one that sets at a time; the callback doesn't take it
    InterruptSpinLock m_lock;
    Timer m_timer;
    int m_target_clock GUARDED_BY(m_lock); // m_clock, or the monotonic one for a span of the wall clock's time
    Nanoseconds m_target GUARDED_BY(m_lock) {}; // on m_target_clock; 0: not armed
    Nanoseconds m_interval GUARDED_BY(m_lock) {};
    ChainHook<IntervalTimer> m_hook; // of those by the wall clock

public:
    using List = Chain<IntervalTimer, &IntervalTimer::m_hook>;
};

} // namespace eremite
