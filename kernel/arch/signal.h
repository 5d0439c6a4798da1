// Signal frames: what Linux puts on the application's stack for a handler, and takes back at rt_sigreturn
// (arch/x86/include/uapi/asm/{ucontext,sigcontext}.h, arch/arm64/include/uapi/asm/sigcontext.h). Programs look into it.
//
// __eremite_restore_rt, in assembly, is where a handler returns to (sa_restorer): with the stack pointer at the frame,
// it enters the kernel as a system call does, builds a TrapFrame of the current registers on the kernel stack, calls
// handle_signal_return(frame), and continues at `frame`, all general registers and flags restored.
#pragma once

#include "arch/trap.h"
#include "base/types.h"
#include <span>

namespace eremite::arch {

/// Everything of a signal frame that isn't the processor's state.
struct SignalFrame {
    u64 handler { 0 };
    u64 restorer { 0 }; // 0: __eremite_restore_rt
    int number { 0 };
    u64 mask { 0 }; // uc_sigmask: restored by rt_sigreturn
    std::span<const u8> information; // siginfo_t, 128 bytes
    u64 alternate_stack { 0 }; // uc_stack, as sigaltstack(2) reports it
    u64 alternate_stack_size { 0 };
    int alternate_stack_flags { 0 };
    u64 stack_top { 0 }; // 0: below the stack pointer of the frame (and its red zone); else the end of the stack to use
    const Fault* fault { nullptr }; // for sc_trapno, sc_err, cr2; null for asynchronous signals
};

/// Writes the frame, vector state included (that of the running thread, still in the registers), and changes `frame` so
/// that it continues at the handler with its three arguments. False: the stack can't be written; `frame` is as it was.
bool push_signal_frame(TrapFrame& frame, const SignalFrame& signal);
/// Takes back what push_signal_frame wrote at frame.stack_pointer(): general registers and flags (those that an
/// application may set) into `frame`, vector state into the registers, `mask`. False: unreadable or forged.
bool pop_signal_frame(TrapFrame& frame, u64& mask);

/// Makes `frame`, at the exit of a system call, call it again: at the gate `entry` with the first arguments
/// `arguments`.
void set_system_call_restart(TrapFrame& frame, u64 entry, std::span<const u64> arguments);

} // namespace eremite::arch

namespace eremite {

/// rt_sigreturn. Defined by sched/signal_delivery.cpp.
void handle_signal_return(arch::TrapFrame& frame);

} // namespace eremite
