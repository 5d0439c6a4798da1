// Short sequences that read this processor's block while the thread may still be moved to another one. traps.cpp sets a
// thread that is preempted inside one back to its beginning, so each changes nothing that it reads before its last
// instruction. They return in x9 (and use x10), so that calling them costs the compiler little.

    .section .text.__eremite_restartable, "ax", @progbits
    .balign 16
    .globl __eremite_current_thread
    .hidden __eremite_current_thread
    .type __eremite_current_thread, @function
__eremite_current_thread:
    hint #34 // bti c
.Lcurrent_begin:
    mrs x9, tpidr_el1
    ldr x9, [x9, #32]
.Lcurrent_end:
    ret
    .size __eremite_current_thread, . - __eremite_current_thread

    .globl __eremite_disable_preemption
    .hidden __eremite_disable_preemption
    .type __eremite_disable_preemption, @function
__eremite_disable_preemption:
    hint #34
.Ldisable_begin:
    mrs x9, tpidr_el1
    ldr w10, [x9, #28]
    add w10, w10, #1
    str w10, [x9, #28]
.Ldisable_end:
    ret
    .size __eremite_disable_preemption, . - __eremite_disable_preemption

// x9: the kernel stack's top of the running thread.
    .globl __eremite_kernel_stack_top
    .hidden __eremite_kernel_stack_top
    .type __eremite_kernel_stack_top, @function
__eremite_kernel_stack_top:
    hint #34
.Lstack_begin:
    mrs x9, tpidr_el1
    ldr x9, [x9, #8]
.Lstack_end:
    ret
    .size __eremite_kernel_stack_top, . - __eremite_kernel_stack_top

// u64 __eremite_restart_address(u64 pc): where to continue, `pc` itself outside of these. The last instruction's own
// address is inside: it has not run yet.
    .globl __eremite_restart_address
    .hidden __eremite_restart_address
    .type __eremite_restart_address, @function
__eremite_restart_address:
    hint #34
    .irp name, current, disable, stack
    adr x1, .L\name\()_begin
    adr x2, .L\name\()_end
    cmp x0, x1
    ccmp x0, x2, #2, hs // pc >= begin and pc < end
    csel x0, x1, x0, lo
    .endr
    ret
    .size __eremite_restart_address, . - __eremite_restart_address
