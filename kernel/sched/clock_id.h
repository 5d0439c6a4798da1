// Clocks by Linux's numbers, those of processor time included; the set-up of what sleeps by the wall clock.
#pragma once

#include "base/result.h"
#include "base/types.h"
#include "sched/wait_queue.h"

namespace eremite {

/// EINVAL: no such clock.
Result<Nanoseconds> clock_now(int clock);
Result<Nanoseconds> cpu_clock_now(int clock);
bool is_realtime_clock(int clock);

/// Woken when the wall clock is set.
WaitQueue& realtime_changed();
/// Has `function` called when the wall clock has been set, by the thread that does. One of them.
void call_when_realtime_is_set(void (*function)());

/// A sleep that setting the wall clock ends early.
class RealtimeSleep {
public:
    RealtimeSleep();
    RealtimeSleep(const RealtimeSleep&) = delete;
    RealtimeSleep& operator=(const RealtimeSleep&) = delete;

    /// ETIMEDOUT at `deadline`; EINTR; success if the clock was set.
    Result<> wait(Nanoseconds deadline);

private:
    u32 m_seen;
};

} // namespace eremite
