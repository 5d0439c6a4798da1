// Exceptions and interrupts: how an architecture hands them to the portable kernel.
//
// Every one arrives on an entry stack of its processor (IST; SP_EL1 on a separate stack). Interrupts are handled there,
// briefly, with interrupts off. Exceptions, and preemption after an interrupt, move the frame to the thread's kernel
// stack first (its top if the thread was in the application; below the stack pointer if already on the kernel stack),
// where handlers may sleep. A fault whose kernel stack is itself overflowed is reported from the entry stack.
#pragma once

#include "base/format.h"
#include "base/types.h"
#include "native/trap_frame.h"

namespace eremite::arch {

// native/trap_frame.h defines `struct TrapFrame` with all general registers and these members:
//     u64 instruction_pointer() const; void set_instruction_pointer(u64);
//     u64 stack_pointer() const;       void set_stack_pointer(u64);
//     u64 frame_pointer() const;
//     void set_argument(unsigned index, u64);  void set_result(u64); u64 result() const;
//     bool interrupts_were_enabled() const;

enum class FaultKind : u8 {
    Page, // address, access, present say more
    ProtectionKey, // a present page whose key is closed
    GeneralProtection, // also alignment of instructions, unknown synchronous exceptions
    InvalidInstruction,
    DivideError,
    FloatingPoint,
    Alignment,
    Breakpoint,
    SingleStep,
    ControlProtection, // IBT, BTI
    Machine, // machine check, SError
    Double,
};

enum class Access : u8 { Read, Write, Execute };

struct Fault {
    FaultKind kind { FaultKind::Page };
    Access access { Access::Read };
    bool present { false }; // Page: a mapping was there, its rights were not enough
    u64 address { 0 }; // Page, ProtectionKey, Alignment: what was touched
    u64 code { 0 }; // error code, ESR: for the report
    u32 number { 0 }; // vector, exception class: for the report
    const char* name { "" }; // "page fault", for the report
};

/// A crash is being reported: from now on a fault of an instruction in the exception table goes to its fixup at once,
/// without a look for memory, so that the report may try any address.
void begin_crash_report();
/// The registers of `frame`, several a line.
void print_registers(TextSink& sink, const TrapFrame& frame);

} // namespace eremite::arch

namespace eremite {

/// A synchronous exception; runs on the thread's kernel stack, interrupts as they were. Returns to `frame`, possibly
/// changed (demand paging, fixup of a user copy, signal). Panics for what nobody handles. Defined by sched/fault.cpp.
void handle_fault(arch::TrapFrame& frame, const arch::Fault& fault);

/// After an interrupt, when something is pending and preemption is on; on the thread's kernel stack, interrupts off on
/// entry and exit. Preempts, delivers signals if the application was interrupted. Defined by sched/.
void handle_pending_work(arch::TrapFrame& frame);

/// The exit of a system call when PerCpu::pending is not 0. The gate has built `frame` on the kernel stack: it
/// continues after the call, with the result set, the callee-saved registers, the application's stack pointer as after
/// the return. Then the gate continues at `frame`, which may be a signal handler now. `gate` is the address of this
/// call's gate: if a signal interrupted the call and it is to be made again, the frame continues there (arch/signal.h).
/// Interrupts are on at entry and at exit. Defined by sched/.
void handle_system_call_exit(arch::TrapFrame& frame, u64 gate);

} // namespace eremite
