// A processor of the model (machine.h). Everything is out of line: a thread of the kernel's goes from one processor to
// another within a function, so nothing about them may be kept across a call.
#pragma once

#include "native/process_cpu.h"

namespace eremite::arch {

inline Thread* current_thread()
{
    return this_cpu().current;
}

inline void enable_preemption()
{
    PerCpu& cpu = this_cpu();
    if (--cpu.preempt_count == 0 && (cpu.pending.load(std::memory_order_relaxed) & k_pending_reschedule) != 0)
        reschedule_if_pending();
}

} // namespace eremite::arch
