#include "sched/interval_timer.h"

#include "abi/process.h"
#include "sched/clock.h"
#include "sched/clock_id.h"
#include "sched/scheduler.h"
#include "sched/wait_queue.h"
#include <algorithm>

namespace eremite {

namespace {

constinit Mutex s_realtime_lock;
constinit IntervalTimer::List s_realtime_timers GUARDED_BY(s_realtime_lock);

} // namespace

IntervalTimer::IntervalTimer(int clock, Callback callback)
    : m_clock(clock)
    , m_callback(callback)
    , m_timer(on_timer, this)
    , m_target_clock(clock)
{
    if (!is_realtime_clock(clock))
        return;
    call_when_realtime_is_set(realtime_was_set);
    Locked lock(s_realtime_lock);
    s_realtime_timers.push_back(*this);
}

IntervalTimer::~IntervalTimer()
{
    if (!is_realtime_clock(m_clock))
        return;
    Locked lock(s_realtime_lock);
    s_realtime_timers.remove(*this);
}

void IntervalTimer::realtime_was_set()
{
    Locked lock(s_realtime_lock);
    for (IntervalTimer& timer : s_realtime_timers)
        timer.look_again();
}

Nanoseconds IntervalTimer::now() const
{
    auto now = clock_now(m_target_clock);
    // The thread whose time it counts has ended: that clock stands still.
    return now.is_error() ? Nanoseconds(0) : now.value();
}

void IntervalTimer::arm()
{
    Nanoseconds left = std::max(m_target - now(), Nanoseconds(0));
    // A processor-time clock runs at most as fast as all processors together; then we look again. Not too often.
    constexpr Nanoseconds shortest = Nanoseconds::from_microseconds(20);
    if (m_clock < 0 || m_clock == abi::k_clock_process_cputime || m_clock == abi::k_clock_thread_cputime)
        left = std::max(Nanoseconds(left.value() / online_cpu_count()), shortest);
    m_timer.arm(monotonic_now() + left);
}

IntervalTimer::Setting IntervalTimer::get_locked()
{
    if (m_target == Nanoseconds(0))
        return { Nanoseconds(0), m_interval };
    // Armed is never told as 0.
    return { std::max(m_target - now(), Nanoseconds(1)), m_interval };
}

IntervalTimer::Setting IntervalTimer::get()
{
    Locked lock(m_lock);
    return get_locked();
}

IntervalTimer::Setting IntervalTimer::set(const Setting& setting, bool is_absolute)
{
    Locked set_lock(m_set_lock);
    m_timer.cancel(); // not under the lock, which a callback may be waiting for
    Locked lock(m_lock);
    Setting old = get_locked();
    m_interval = setting.interval;
    m_target = setting.value;
    m_target_clock = !is_absolute && is_realtime_clock(m_clock) ? abi::k_clock_monotonic : m_clock;
    if (setting.value != Nanoseconds(0)) {
        if (!is_absolute)
            m_target = now() + setting.value;
        arm();
    }
    return old;
}

void IntervalTimer::look_again()
{
    Locked set_lock(m_set_lock);
    m_timer.cancel();
    Locked lock(m_lock);
    if (m_target != Nanoseconds(0))
        arm();
}

void IntervalTimer::on_timer(Timer& timer)
{
    static_cast<IntervalTimer*>(timer.context())->expire();
}

void IntervalTimer::expire()
{
    u64 expirations = 1;
    {
        Locked lock(m_lock);
        Nanoseconds time = now();
        if (m_target == Nanoseconds(0))
            return;
        if (time < m_target) {
            arm();
            return;
        }
        if (m_interval == Nanoseconds(0)) {
            m_target = Nanoseconds(0);
        } else {
            expirations += static_cast<u64>((time - m_target).value() / m_interval.value());
            m_target = m_target + Nanoseconds(m_interval.value() * static_cast<i64>(expirations));
            arm();
        }
    }
    m_callback(*this, expirations);
}

} // namespace eremite
