// Switching threads, and what of the processor's state belongs to one.
#pragma once

#include "base/types.h"

namespace eremite::arch {

/// What a voluntary switch saves is on the thread's own stack (callee-saved registers, FP control words); this is
/// where.
struct Context {
    u64 stack_pointer { 0 };
};

/// Saves the caller in `from` and continues `to`. Interrupts off, preemption off (count 1) on both sides.
/// Returns when somebody switches back to `from`.
void switch_context(Context& from, Context& to);

/// Makes `context` start at `entry(argument)` on the stack that ends at `stack_top`, which must be 16-byte aligned.
/// `entry` never returns, and begins as switch_context returns: interrupts off, preemption count 1.
void prepare_context(Context& context, u64 stack_top, void (*entry)(void*), void* argument);

/// The application's thread pointer (FS base, TPIDR_EL0), read and set for the running thread; the scheduler saves it
/// on each switch.
u64 thread_pointer();
void set_thread_pointer(u64 value);

/// Vector and floating-point registers in the processor's save format (XSAVE area; V0-V31, FPCR, FPSR).
/// Only preemption and signals save them. `area` has vector_state_size() bytes, 64-byte aligned.
usize vector_state_size();
void save_vector_state(void* area);
void restore_vector_state(const void* area);
/// The state that a new thread begins with, written to `area`.
void initialize_vector_state(void* area);

/// Leaves the kernel for the application for the first time, on the application's stack: at `entry`, with `argument` in
/// the first argument register and interrupts on. Used for _start (argument 0) and new threads.
[[noreturn]] void enter_application(u64 entry, u64 stack_pointer, u64 argument);

// native/context.h also has `constexpr u64 k_call_pushes`: how many bytes a call puts on the stack, the return address
// among them (8 on x86_64; 0 on aarch64, where enter_application leaves __eremite_thread_end in the link register).

} // namespace eremite::arch

#include "native/context.h"
