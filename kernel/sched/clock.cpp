#include "sched/clock.h"

#include "sched/clock_id.h"
#include <atomic>

namespace eremite {

namespace {

// Wall time at boot, in nanoseconds; 0: not asked for yet.
constinit std::atomic<i64> s_realtime_offset { 0 };
constinit std::atomic<u32> s_changes { 0 };
constinit WaitQueue s_changed;
constinit std::atomic<void (*)()> s_listener { nullptr };
constinit std::atomic<void (*)()> s_timers { nullptr };

void tell_listener()
{
    if (auto listener = s_listener.load(std::memory_order_acquire))
        listener();
}

} // namespace

Nanoseconds realtime_now()
{
    i64 offset = s_realtime_offset.load(std::memory_order_relaxed);
    if (offset == 0) {
        // A machine without a clock begins in 1970, one nanosecond late.
        i64 fresh = Nanoseconds::from_seconds(arch::boot_wall_seconds()).value() + 1;
        if (s_realtime_offset.compare_exchange_strong(offset, fresh, std::memory_order_relaxed)) {
            offset = fresh;
            tell_listener();
        }
    }
    return Nanoseconds(offset) + arch::now();
}

void set_realtime(Nanoseconds since_1970)
{
    i64 offset = (since_1970 - arch::now()).value();
    s_realtime_offset.store(offset == 0 ? 1 : offset, std::memory_order_relaxed);
    tell_listener();
    s_changes.fetch_add(1);
    s_changed.wake_all();
    if (auto timers = s_timers.load(std::memory_order_acquire))
        timers();
}

Nanoseconds realtime_offset()
{
    return Nanoseconds(s_realtime_offset.load(std::memory_order_relaxed));
}

void set_realtime_listener(void (*listener)())
{
    s_listener.store(listener, std::memory_order_release);
}

WaitQueue& realtime_changed()
{
    return s_changed;
}

void call_when_realtime_is_set(void (*function)())
{
    s_timers.store(function, std::memory_order_release);
}

RealtimeSleep::RealtimeSleep()
    : m_seen(s_changes.load())
{
}

Result<> RealtimeSleep::wait(Nanoseconds deadline)
{
    SpinLock lock;
    Locked locked(lock);
    auto result = s_changed.wait_until(lock, [&] { return s_changes.load() != m_seen; }, deadline);
    m_seen = s_changes.load();
    return result;
}

} // namespace eremite
