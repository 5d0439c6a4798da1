// A processor of the model (machine.h). Everything is out of line: a thread of the kernel's goes from one processor to
// another within a function, so nothing about them may be kept across a call.
#pragma once

namespace eremite::arch {

inline Thread* current_thread()
{
    return this_cpu().current;
}

inline void device_barrier()
{
    std::atomic_thread_fence(std::memory_order_seq_cst);
}

inline void disable_preemption()
{
    ++this_cpu().preempt_count;
}
inline void enable_preemption()
{
    PerCpu& cpu = this_cpu();
    if (--cpu.preempt_count == 0 && (cpu.pending.load(std::memory_order_relaxed) & k_pending_reschedule) != 0)
        reschedule_if_pending();
}

inline u64 cycle_counter()
{
    return __builtin_readcyclecounter();
}
inline u64 ordered_cycle_counter()
{
    return cycle_counter();
}
inline bool hardware_random(u64&)
{
    return false;
}

} // namespace eremite::arch
