// Timers of the stack: a hierarchical wheel with ticks of 2^20 ns (about a millisecond), four levels of 64 slots.
// Arming and cancelling take constant time. A timer never fires early, and at most a tick late by the wheel's own
// doing.
//
// The wheel doesn't run by itself: somebody calls run() at next_deadline() or later.
#pragma once

#include "base/intrusive.h"
#include "base/types.h"
#include "sync/spin_lock.h"
#include <array>

namespace eremite::net {

class TimerWheel;

/// Derive and implement: what a timer belongs to, and what it does.
class WheelTimer {
public:
    virtual ~WheelTimer() = default;

    bool is_armed() const { return m_hook.is_linked(); }
    Nanoseconds deadline() const { return m_deadline; }

protected:
    WheelTimer() = default;
    /// Under the wheel's lock: take a reference so that the object outlives expire(); false if it is already dying.
    virtual bool retain() = 0;
    /// The time has come; gives back the reference. No lock is held. May arm again.
    virtual void expire(Nanoseconds now) = 0;

private:
    friend class TimerWheel;
    ListHook m_hook;
    Nanoseconds m_deadline {};
    u8 m_level { 0 };
    u8 m_slot { 0 };
};

class TimerWheel {
public:
    /// The wheel's time begins at `now`.
    void start(Nanoseconds now)
    {
        Locked lock(m_lock);
        m_current = tick_of(now);
    }

    /// Arms or moves. True if this became the earliest: whoever calls run() must do so sooner than planned.
    bool arm(WheelTimer& timer, Nanoseconds deadline);
    void cancel(WheelTimer& timer);
    /// Fires what is due.
    void run(Nanoseconds now);
    /// When run() has something to do (at the latest; it may find nothing yet). max() when nothing is armed.
    Nanoseconds next_deadline() const { return Nanoseconds(m_next.load(std::memory_order_relaxed)); }

private:
    static constexpr unsigned k_tick_shift = 20;
    static constexpr unsigned k_slot_bits = 6;
    static constexpr unsigned k_slots = 1 << k_slot_bits;
    static constexpr unsigned k_levels = 4;
    using Slot = List<WheelTimer, &WheelTimer::m_hook>;

    static u64 tick_of(Nanoseconds time) { return static_cast<u64>(time.value()) >> k_tick_shift; }
    static u64 due_tick(const WheelTimer& timer)
    {
        return tick_of(timer.m_deadline + Nanoseconds((1 << k_tick_shift) - 1));
    }
    void insert(WheelTimer& timer, u64 earliest) REQUIRES(m_lock);
    void unlink(WheelTimer& timer) REQUIRES(m_lock);
    void cascade(unsigned level) REQUIRES(m_lock);
    u64 next_tick() const REQUIRES(m_lock);
    void update_next() REQUIRES(m_lock);

    SpinLock m_lock;
    u64 m_current GUARDED_BY(m_lock) { 0 };
    std::array<u64, k_levels> m_occupied GUARDED_BY(m_lock) {};
    std::array<std::array<Slot, k_slots>, k_levels> m_slots GUARDED_BY(m_lock);
    std::atomic<i64> m_next { INT64_MAX };
};

} // namespace eremite::net
