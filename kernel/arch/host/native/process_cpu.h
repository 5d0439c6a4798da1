// What a processor does that is the Linux process' own, on arch `host` and in the model of a machine that the
// scheduler's tests run on.
#pragma once

namespace eremite::arch {

inline void device_barrier()
{
    std::atomic_thread_fence(std::memory_order_seq_cst);
}

inline void disable_preemption()
{
    ++this_cpu().preempt_count;
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
