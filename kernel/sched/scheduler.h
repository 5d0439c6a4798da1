// The scheduler: gives processors to threads. Preemptive, tickless (the timer is set only when somebody else waits for
// the processor), a run queue per processor, idle processors steal. First SCHED_FIFO and SCHED_RR by priority, then
// SCHED_OTHER in turns whose length follows the nice value.
//
// There is no idle thread: a processor with nothing to do waits in the context of the thread that ran last.
// Sleeping and waking: wait_queue.h.
#pragma once

#include "sched/thread.h"

namespace eremite {

/// Makes the caller the first thread (number 1, the application's main thread to be), on the stack `boot_stack`, which
/// it keeps as its kernel stack. Once, on the boot processor, after initialize_memory(); interrupts off; returns with
/// the preemption count at 0 and interrupts as they were.
void initialize_scheduler(VirtualRange boot_stack);

/// Leaves the kernel for the application: the calling thread continues at `entry` on `stack_pointer`. Its thread number
/// is the process's.
[[noreturn]] void start_application(u64 entry, u64 stack_pointer);

/// Gives the processor to the next thread in turn (sched_yield).
void yield();
/// Changes policy and priority (0, or 1 to 99 for Fifo and RoundRobin) of a thread in any state.
void set_scheduling(Thread& thread, SchedulingPolicy policy, u8 priority);
/// Moves it if it may not stay where it is. EINVAL: no processor of the mask is there.
Result<> set_affinity(Thread& thread, CpuMask mask);
/// Ends the calling thread; frees all that the kernel holds of it.
[[noreturn]] void exit_current_thread();

/// Of all threads of the application, those that have ended included.
Nanoseconds process_cpu_time();

/// Processors that run threads now.
CpuMask online_cpus();
u32 online_cpu_count();
/// How long a thread of equal importance may have to wait for its turn: the slice of nice 0.
inline constexpr Nanoseconds k_time_slice = Nanoseconds::from_milliseconds(4);

} // namespace eremite
