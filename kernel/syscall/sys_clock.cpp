#include "syscall/sys_time.h"

#include "sched/clock.h"
#include "sched/clock_id.h"
#include "sched/scheduler.h"
#include "sched/wait_queue.h"
#include "syscall/time_argument.h"
#include <algorithm>

namespace eremite {

Result<Nanoseconds> clock_now(int clock)
{
    switch (clock) {
    case abi::k_clock_monotonic:
    case abi::k_clock_monotonic_raw:
    case abi::k_clock_monotonic_coarse:
    case abi::k_clock_boottime:
    case abi::k_clock_boottime_alarm:
        return monotonic_now();
    case abi::k_clock_realtime:
    case abi::k_clock_realtime_coarse:
    case abi::k_clock_realtime_alarm:
    case abi::k_clock_tai:
        return realtime_now();
    case abi::k_clock_process_cputime:
        return process_cpu_time();
    case abi::k_clock_thread_cputime:
        return current().cpu_time();
    default:
        return cpu_clock_now(clock);
    }
}

Result<Nanoseconds> cpu_clock_now(int clock)
{
    // As clock_getcpuclockid() and pthread_getcpuclockid() make them: the number inverted, and 3 bits of kind.
    constexpr int per_thread = 4;
    if (clock >= 0)
        return Errno::EINVAL;
    i32 id = ~(clock >> 3);
    if ((clock & per_thread) == 0)
        return id <= 1 ? Result<Nanoseconds>(process_cpu_time()) : Errno::EINVAL;
    auto thread = id == 0 ? RefPtr<Thread>(&current()) : ThreadTable::find(id);
    if (!thread)
        return Errno::EINVAL;
    return thread->cpu_time();
}

bool is_realtime_clock(int clock)
{
    return clock == abi::k_clock_realtime || clock == abi::k_clock_realtime_alarm || clock == abi::k_clock_tai;
}

Result<long> sys_clock_gettime(int clock, UserPointer<abi::TimeSpec> time)
{
    Nanoseconds now = clock == abi::k_clock_monotonic ? monotonic_now() : TRY(clock_now(clock));
    TRY(time.write(to_time_spec(now)));
    return 0;
}

Result<long> sys_clock_settime(int clock, UserPointer<abi::TimeSpec> time)
{
    if (clock != abi::k_clock_realtime)
        return Errno::EINVAL;
    set_realtime(TRY(to_nanoseconds(TRY(time.read()))));
    return 0;
}

Result<long> sys_clock_getres(int clock, UserPointer<abi::TimeSpec> resolution)
{
    TRY(clock_now(clock));
    if (!resolution.is_null())
        TRY(resolution.write({ 0, 1 }));
    return 0;
}

Result<long> sys_gettimeofday(UserPointer<abi::TimeVal> time, UserPointer<u64> zone)
{
    if (!time.is_null())
        TRY(time.write(to_time_val(realtime_now())));
    if (!zone.is_null())
        TRY(zone.write(0)); // struct timezone: UTC
    return 0;
}

Result<long> sys_settimeofday(UserPointer<abi::TimeVal> time, UserPointer<u64>)
{
    if (!time.is_null())
        set_realtime(TRY(to_nanoseconds(TRY(time.read()))));
    return 0;
}

Result<long> sys_time(UserPointer<i64> seconds)
{
    i64 now = realtime_now().seconds();
    if (!seconds.is_null())
        TRY(seconds.write(now));
    return now;
}

Result<long> sys_times(UserPointer<abi::ProcessTimes> times)
{
    constexpr i64 tick = 1'000'000'000 / abi::k_clock_ticks;
    if (!times.is_null())
        TRY(times.write({ .user = process_cpu_time().value() / tick }));
    return monotonic_now().value() / tick;
}

Result<long> sys_nanosleep(UserPointer<abi::TimeSpec> duration, UserPointer<abi::TimeSpec> remaining)
{
    return sys_clock_nanosleep(abi::k_clock_monotonic, 0, duration, remaining);
}

namespace {

/// On the processor time of the process, or of another thread. Nothing tells when that is reached: it goes as fast as
/// there are processors, so it is looked at again whenever it can have been.
Result<long> sleep_on_cpu_clock(int clock, bool is_absolute, Nanoseconds wanted, UserPointer<abi::TimeSpec> remaining)
{
    constexpr i64 shortest = 100'000; // rather a little late than busy
    Nanoseconds deadline = is_absolute ? wanted : TRY(clock_now(clock)) + wanted;
    while (true) {
        Nanoseconds left = deadline - TRY(clock_now(clock));
        if (left <= Nanoseconds(0))
            return 0;
        Nanoseconds step(std::max<i64>(left.value() / online_cpu_count(), shortest));
        Result<> result = sleep_until(monotonic_now() + step);
        if (result.is_error()) {
            if (!is_absolute && !remaining.is_null())
                TRY(remaining.write(to_time_spec(left)));
            return result.error();
        }
    }
}

} // namespace

Result<long> sys_clock_nanosleep(
    int clock, int flags, UserPointer<abi::TimeSpec> time, UserPointer<abi::TimeSpec> remaining)
{
    bool realtime = is_realtime_clock(clock);
    bool monotonic
        = clock == abi::k_clock_monotonic || clock == abi::k_clock_boottime || clock == abi::k_clock_boottime_alarm;
    // A thread that waits for its own processor time would never wake.
    if (clock == abi::k_clock_thread_cputime)
        return Errno::EINVAL;
    Nanoseconds wanted = TRY(to_nanoseconds(TRY(time.read())));
    if (clock == abi::k_clock_process_cputime || clock < 0)
        return sleep_on_cpu_clock(clock, (flags & abi::k_timer_abstime) != 0, wanted, remaining);
    if (!realtime && !monotonic)
        return Errno::EOPNOTSUPP;
    if ((flags & abi::k_timer_abstime) == 0) {
        Nanoseconds deadline = monotonic_now() + wanted;
        Result<> result = sleep_until(deadline);
        if (!result.is_error())
            return 0;
        if (!remaining.is_null())
            TRY(remaining.write(to_time_spec(std::max(deadline - monotonic_now(), Nanoseconds(0)))));
        return result.error();
    }
    if (!realtime) {
        TRY(sleep_until(wanted));
        return 0;
    }
    // The clock may be set meanwhile.
    RealtimeSleep sleep;
    while (true) {
        Nanoseconds left = wanted - realtime_now();
        if (left <= Nanoseconds(0))
            return 0;
        Result<> result = sleep.wait(monotonic_now() + left);
        if (result.is_error() && result.error() == Errno::EINTR)
            return Errno::EINTR;
    }
}

} // namespace eremite
