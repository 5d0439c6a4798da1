// aarch64's inline parts of arch/cpu.h: the per-processor block is in TPIDR_EL1. Included by it.
//
// To read TPIDR_EL1 and then the block takes two instructions, and the thread may be moved to another processor between
// them. The few sequences that have to do so with preemption on stand in restartable.S: a thread that is preempted
// inside one begins it again.
#pragma once

namespace eremite::arch {

inline PerCpu& this_cpu()
{
    PerCpu* self;
    asm volatile("mrs %0, tpidr_el1" : "=r"(self));
    return *self;
}

inline Thread* current_thread()
{
    // Not volatile: a thread finds itself wherever it runs.
    register Thread* thread asm("x9");
    asm("bl __eremite_current_thread" : "=r"(thread) : : "x30", "memory");
    return thread;
}

inline bool interrupts_enabled()
{
    u64 daif;
    asm volatile("mrs %0, daif" : "=r"(daif));
    return (daif & (1u << 7)) == 0;
}

inline void enable_interrupts()
{
    asm volatile("msr daifclr, #2" ::: "memory");
}

inline bool disable_interrupts()
{
    bool enabled = interrupts_enabled();
    asm volatile("msr daifset, #2" ::: "memory");
    return enabled;
}

inline void wait_for_interrupt()
{
    // WFI ends for an interrupt that is masked as well, so none that comes before it is slept over.
    asm volatile("msr daifset, #2; dsb sy; wfi; msr daifclr, #2; isb" ::: "memory");
}

inline void relax()
{
    asm volatile("yield" ::: "memory");
}

inline void device_barrier()
{
    // Nobody wants the counter. Processors read it without leaving the guest; an emulator takes a lock for it, which is
    // the barrier that it owes us.
    u64 counter;
    asm volatile("dmb sy; mrs %0, cntvct_el0; dmb sy" : "=r"(counter) : : "memory");
}

inline void disable_preemption()
{
    asm volatile("bl __eremite_disable_preemption" ::: "x9", "x10", "x30", "memory");
}

inline void enable_preemption()
{
    // The count is above 0, so the thread stays where it is until it is written back. A pending word read from another
    // processor after that does no harm: whoever set it there has sent an interrupt as well.
    PerCpu& cpu = this_cpu();
    u32 count = cpu.preempt_count - 1;
    asm volatile("" ::: "memory");
    *const_cast<volatile u32*>(&cpu.preempt_count) = count;
    if (count == 0 && (cpu.pending.load(std::memory_order_relaxed) & k_pending_reschedule) != 0) [[unlikely]]
        reschedule_if_pending();
}

inline u64 cycle_counter()
{
    u64 value;
    asm volatile("isb; mrs %0, cntvct_el0" : "=r"(value));
    return value;
}

inline u64 ordered_cycle_counter()
{
    return cycle_counter(); // ISB
}

} // namespace eremite::arch
