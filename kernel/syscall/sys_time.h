// Clocks, sleeping, and timers that send signals.
#pragma once

#include "abi/process.h"
#include "abi/signal.h"
#include "syscall/dispatch.h"

namespace eremite {

Result<long> sys_clock_gettime(int clock, UserPointer<abi::TimeSpec> time);
Result<long> sys_clock_settime(int clock, UserPointer<abi::TimeSpec> time);
Result<long> sys_clock_getres(int clock, UserPointer<abi::TimeSpec> resolution);
Result<long> sys_gettimeofday(UserPointer<abi::TimeVal> time, UserPointer<u64> zone);
Result<long> sys_settimeofday(UserPointer<abi::TimeVal> time, UserPointer<u64> zone);
Result<long> sys_time(UserPointer<i64> seconds);
Result<long> sys_times(UserPointer<abi::ProcessTimes> times);
Result<long> sys_nanosleep(UserPointer<abi::TimeSpec> duration, UserPointer<abi::TimeSpec> remaining);
Result<long> sys_clock_nanosleep(
    int clock, int flags, UserPointer<abi::TimeSpec> time, UserPointer<abi::TimeSpec> remaining);

Result<long> sys_timer_create(int clock, UserPointer<abi::SignalEvent> event, UserPointer<i32> timer);
Result<long> sys_timer_settime(
    int timer, int flags, UserPointer<abi::IntervalTimerSpec> value, UserPointer<abi::IntervalTimerSpec> old);
Result<long> sys_timer_gettime(int timer, UserPointer<abi::IntervalTimerSpec> value);
Result<long> sys_timer_getoverrun(int timer);
Result<long> sys_timer_delete(int timer);
Result<long> sys_getitimer(int which, UserPointer<abi::IntervalTimerVal> value);
Result<long> sys_setitimer(int which, UserPointer<abi::IntervalTimerVal> value, UserPointer<abi::IntervalTimerVal> old);
Result<long> sys_alarm(u32 seconds);

Result<long> sys_timerfd_create(int clock, int flags);
Result<long> sys_timerfd_settime(
    int fd, int flags, UserPointer<abi::IntervalTimerSpec> value, UserPointer<abi::IntervalTimerSpec> old);
Result<long> sys_timerfd_gettime(int fd, UserPointer<abi::IntervalTimerSpec> value);

} // namespace eremite
