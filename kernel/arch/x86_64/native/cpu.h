// x86_64's inline parts of arch/cpu.h: the per-processor block is at GS:0. Included by it.
#pragma once

namespace eremite::arch {

inline PerCpu& this_cpu()
{
    PerCpu* self;
    asm volatile("mov %%gs:0, %0" : "=r"(self));
    return *self;
}

inline Thread* current_thread()
{
    // Not volatile: a thread finds itself wherever it runs.
    Thread* thread;
    asm("mov %%gs:32, %0" : "=r"(thread) : : "memory");
    return thread;
}

inline bool interrupts_enabled()
{
    u64 flags;
    asm volatile("pushfq; pop %0" : "=r"(flags));
    return (flags & (1u << 9)) != 0;
}

inline void enable_interrupts()
{
    asm volatile("sti" ::: "memory");
}

inline bool disable_interrupts()
{
    bool enabled = interrupts_enabled();
    asm volatile("cli" ::: "memory");
    return enabled;
}

inline void wait_for_interrupt()
{
    // STI holds interrupts off for one more instruction.
    asm volatile("sti; hlt" ::: "memory");
}

inline void relax()
{
    __builtin_ia32_pause();
}

inline void device_barrier()
{
    // Nobody wants the counter. An emulator takes a lock for it, which is the barrier that it owes us.
    asm volatile("mfence; rdtsc" : : : "rax", "rdx", "memory");
}

inline void disable_preemption()
{
    asm volatile("incl %%gs:28" ::: "memory", "cc");
}

inline void enable_preemption()
{
    bool zero;
    asm volatile("decl %%gs:28" : "=@ccz"(zero) : : "memory");
    if (!zero)
        return;
    bool due;
    asm volatile("testl %1, %%gs:24" : "=@ccnz"(due) : "i"(k_pending_reschedule) : "memory");
    if (due) [[unlikely]]
        reschedule_if_pending();
}

inline u64 cycle_counter()
{
    return __builtin_ia32_rdtsc();
}

inline u64 ordered_cycle_counter()
{
    u32 low;
    u32 high;
    asm volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return static_cast<u64>(high) << 32 | low;
}

} // namespace eremite::arch
