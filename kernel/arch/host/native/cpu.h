// On arch `host` a processor is a thread of the test process; interrupts don't exist and preemption isn't ours.
#pragma once

namespace eremite::arch {

inline PerCpu& this_cpu()
{
    static thread_local PerCpu cpu;
    return cpu;
}
/// Defined by arch/host/waiting.cpp: a thread of the test process, as far as waiting goes.
Thread* this_host_thread();
inline Thread* current_thread()
{
    PerCpu& cpu = this_cpu();
    if (!cpu.current)
        cpu.current = this_host_thread();
    return cpu.current;
}

inline bool interrupts_enabled()
{
    return true;
}
inline void enable_interrupts() { }
inline bool disable_interrupts()
{
    return true;
}
inline void wait_for_interrupt() { }
inline void relax() { }

inline void enable_preemption()
{
    --this_cpu().preempt_count;
}

} // namespace eremite::arch

#include "native/process_cpu.h"
