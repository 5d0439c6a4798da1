// The gates' common part (syscall/gate.h). X16: the call's record; arguments where the procedure call standard has them.

#define PENDING_SIGNAL_BIT 1
#define PENDING_TRACE_BIT 2
#define PERCPU_PENDING 24

    .macro function name
    .section .text.\name, "ax", @progbits
    .globl \name
    .hidden \name
    .type \name, @function
    nop // unwinders look up the instruction before a return address
\name:
    hint #34 // bti c
    .endm

    // Not there unless strace is in the image: then nothing is ever traced.
    .weak __eremite_trace_enter
    .weak __eremite_trace_exit

#if EREMITE_ISOLATION != 0
    function __eremite_gate
    stp x29, x30, [sp, #-16]!
    mov x29, sp
    bl __eremite_kernel_stack_top // to x9
    mov sp, x9
    stp x16, x16, [sp, #-16]!
    mrs x10, tpidr_el1
    ldr w10, [x10, #PERCPU_PENDING]
    tbnz w10, #PENDING_TRACE_BIT, traced
    ldrsw x10, [x16]
    add x10, x16, x10
    blr x10
    // A thread that is interrupted from here on, while something becomes pending, goes back to here (traps.cpp).
    .globl __eremite_gate_check_start
    .hidden __eremite_gate_check_start
__eremite_gate_check_start:
    mrs x10, tpidr_el1
    ldr w10, [x10, #PERCPU_PENDING]
    tbnz w10, #PENDING_SIGNAL_BIT, finish
    mov sp, x29
    .globl __eremite_gate_check_end
    .hidden __eremite_gate_check_end
__eremite_gate_check_end:
    ldp x29, x30, [sp], #16
    ret

traced:
    sub sp, sp, #48 // the arguments stay there for the exit
    stp x0, x1, [sp]
    stp x2, x3, [sp, #16]
    stp x4, x5, [sp, #32]
    mov x0, x16
    mov x1, sp
    bl __eremite_trace_enter
    ldp x0, x1, [sp]
    ldp x2, x3, [sp, #16]
    ldp x4, x5, [sp, #32]
    ldr x16, [sp, #48]
    ldrsw x10, [x16]
    add x10, x16, x10
    blr x10
    str x0, [sp, #-16]!
    mov x2, x0
    add x1, sp, #16
    ldr x0, [sp, #64]
    bl __eremite_trace_exit
    ldr x0, [sp], #16
    b __eremite_gate_check_start

finish:
    bl __eremite_kernel_stack_top
    ldr x1, [x9, #-16] // the record
    add x2, x29, #16 // the application's stack pointer after the return
    ldp x29, x3, [x29]
    b finish_call
    .size __eremite_gate, . - __eremite_gate
#else
    // No gate: nothing to go back to.
    .section .text.__eremite_gate_check_start, "ax", @progbits
    .globl __eremite_gate_check_start
    .hidden __eremite_gate_check_start
    .globl __eremite_gate_check_end
    .hidden __eremite_gate_check_end
__eremite_gate_check_start:
__eremite_gate_check_end:
    brk #1

    // long finish_call(record, result), called by a gate on the application's stack; the work is done on the kernel's.
    function __eremite_finish_call
    mov x2, x0
    mov x0, x1
    mov x1, x2
    mov x2, sp
    mov x3, x30
    b finish_call
    .size __eremite_finish_call, . - __eremite_finish_call

    // long call_on_kernel_stack(void* body, long a, long b)
    function __eremite_call_on_kernel_stack
    stp x29, x30, [sp, #-16]!
    mov x29, sp
    bl __eremite_kernel_stack_top
    mov sp, x9
    mov x10, x0
    mov x0, x1
    mov x1, x2
    blr x10
    mov sp, x29
    ldp x29, x30, [sp], #16
    ret
    .size __eremite_call_on_kernel_stack, . - __eremite_call_on_kernel_stack
#endif

    .macro push_frame_special // x2: stack pointer, x3: where to continue
    bl __eremite_kernel_stack_top
    mov sp, x9
    sub sp, sp, #288
    mrs x4, daif
    bic x4, x4, #0x80 // interrupts on
    orr x4, x4, #4 // EL1, SP_EL0
    stp x3, x2, [sp, #240]
    stp x3, x4, [sp, #256]
    stp xzr, xzr, [sp, #272]
    .endm

    .section .text.__eremite_finish, "ax", @progbits
// X0 result, X1 record, X2 stack pointer and X3 instruction to continue at, callee-saved registers as there. Builds a
// TrapFrame (native/trap_frame.h), has the kernel look at what is pending, and continues at the frame.
finish_call:
    push_frame_special
    stp x0, xzr, [sp]
    .irp offset, 16, 32, 48, 64, 80, 96, 112, 128
    stp xzr, xzr, [sp, #\offset]
    .endr
    stp xzr, x19, [sp, #144]
    stp x20, x21, [sp, #160]
    stp x22, x23, [sp, #176]
    stp x24, x25, [sp, #192]
    stp x26, x27, [sp, #208]
    stp x28, x29, [sp, #224]
    mov x0, sp
    bl __eremite_system_call_exit
    mov x0, sp
    b __eremite_continue_frame

    // A signal handler returns here, with the stack pointer at its frame.
    function __eremite_restore_rt
    mov x2, sp
    adr x3, __eremite_restore_rt
    push_frame_special
    mov x0, sp
    bl __eremite_signal_return // pop_signal_frame sets the rest
    mov x0, sp
    b __eremite_continue_frame
    .size __eremite_restore_rt, . - __eremite_restore_rt

    // int set_thread_area(void*): the thread pointer needs no kernel.
    function __eremite_set_thread_area
    msr tpidr_el0, x0
    mov x0, #0
    ret
    .size __eremite_set_thread_area, . - __eremite_set_thread_area
