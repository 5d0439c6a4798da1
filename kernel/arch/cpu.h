// The processor: interrupts, preemption, the per-processor block, features. One contract; each architecture defines the
// inline parts in native/cpu.h, found by the include path.
#pragma once

#include "base/isolation.h"
#include "base/result.h"
#include "base/types.h"
#include <atomic>

namespace eremite {
class Thread;
}

namespace eremite::arch {

inline constexpr u32 k_max_cpus = 64;

/// Bits of PerCpu::pending: why a thread should look in at the kernel before it goes on.
inline constexpr u32 k_pending_reschedule = 1;
inline constexpr u32 k_pending_signal = 2;
inline constexpr u32 k_pending_trace = 4; // system calls are traced (strace): set for good, on all processors

/// What a processor knows about itself, reached by GS (x86_64), TPIDR_EL1 (aarch64) or a global (host).
/// The first fields are read by assembly at fixed offsets.
struct PerCpu {
    PerCpu* self { nullptr }; // 0
    u64 kernel_stack_top { 0 }; // 8: of the current thread; where a gate switches to
    u64 domain { k_has_keys ? 1 : 0 }; // 16: isolation `mpk`: whose code runs (arch/x86_64/rights.h)
    std::atomic<u32> pending { 0 }; // 24
    u32 preempt_count { 0 }; // 28: 0 = the kernel may be preempted
    Thread* current { nullptr }; // 32
    u64 kernel_stack_bottom { 0 }; // 40: lowest usable address of the current thread's kernel stack
    u32 id { 0 }; // 48: 0 is the boot processor
    u32 interrupt_depth { 0 }; // 52: > 0 inside an interrupt handler
    u64 hardware_id { 0 }; // 56: APIC id, MPIDR
    void* native { nullptr }; // 64: the architecture's own (TSS, GDT, entry stacks, ...)
    void* scheduler { nullptr }; // 72: the scheduler's own (run queue)
    u64 stack_guard { 0 }; // 80: aarch64: the canary of the kernel's functions, the same on all processors
};

/// This processor's block. Stable only while preemption is off, except for `current`.
PerCpu& this_cpu();
/// The running thread; null before the scheduler runs.
Thread* current_thread();

bool interrupts_enabled();
void enable_interrupts();
/// Returns whether they were enabled.
bool disable_interrupts();
/// Enables interrupts and waits for one, atomically: none that comes between is slept over. Returns with interrupts on.
void wait_for_interrupt();
/// A hint in spin loops.
void relax();

/// Orders what was stored before against what is loaded after, also for a device: either it sees our store, or we see
/// its. A fence alone doesn't do in a machine that is emulated with one processor: QEMU before 8.1 leaves fences out of
/// it, although its devices run on other threads, so that now and then both sides miss what the other wrote.
void device_barrier();

void disable_preemption();
/// Runs the scheduler if that became due and this was the outermost enable, with interrupts on.
void enable_preemption();

/// Free-running counter of constant rate (TSC, CNTVCT_EL0); arch/clock.h converts it.
u64 cycle_counter();
/// Read after all that comes before, and not ahead of it.
u64 ordered_cycle_counter();

/// Zero, or a random word of the processor's own generator (RDSEED/RDRAND, RNDR) through `value`; false where there is
/// none or it fails.
bool hardware_random(u64& value);

} // namespace eremite::arch

namespace eremite {
/// Defined by sched/: gives the processor to the next thread if a reschedule is pending. Called by enable_preemption().
void reschedule_if_pending();
} // namespace eremite

#include "native/cpu.h"

namespace eremite::arch {

/// Whether an interrupt is being handled. A thread that is preempted between finding its processor's block and reading
/// it would read another's: so interrupts are off meanwhile.
inline bool in_interrupt()
{
    bool enabled = disable_interrupts();
    bool result = this_cpu().interrupt_depth != 0;
    if (enabled)
        enable_interrupts();
    return result;
}

/// Whether preemption is on, and no interrupt is being handled: the caller may give the processor away.
inline bool is_preemptible()
{
    bool enabled = disable_interrupts();
    const PerCpu& cpu = this_cpu();
    bool result = cpu.preempt_count == 0 && cpu.interrupt_depth == 0;
    if (enabled)
        enable_interrupts();
    return result;
}

} // namespace eremite::arch
