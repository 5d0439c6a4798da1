// Exception vectors (Arm ARM, D1.3.1). All code, application's and kernel's, runs with SP_EL0 as its stack pointer
// (EL1t), so that an exception finds SP_EL1, the entry stack of its processor, whatever the interrupted stack was like.
// Each entry saves a TrapFrame there, and asks C++ whether to move it to the thread's kernel stack.

#include "arch/aarch64/registers.h"

    .macro save_general
    sub sp, sp, #288
    stp x0, x1, [sp]
    stp x2, x3, [sp, #16]
    stp x4, x5, [sp, #32]
    stp x6, x7, [sp, #48]
    stp x8, x9, [sp, #64]
    stp x10, x11, [sp, #80]
    stp x12, x13, [sp, #96]
    stp x14, x15, [sp, #112]
    stp x16, x17, [sp, #128]
    stp x18, x19, [sp, #144]
    stp x20, x21, [sp, #160]
    stp x22, x23, [sp, #176]
    stp x24, x25, [sp, #192]
    stp x26, x27, [sp, #208]
    stp x28, x29, [sp, #224]
    .endm

    .macro save_special stack_pointer
    \stack_pointer
    mrs x20, elr_el1
    mrs x21, spsr_el1
    mrs x22, esr_el1
    mrs x23, far_el1
    stp x30, x19, [sp, #240]
    stp x20, x21, [sp, #256]
    stp x22, x23, [sp, #272]
    .endm

    .macro vector target
    .balign 128
    save_general
    b \target
    .endm

    // What comes while SP_EL1 is in use may come because there is nothing left of the entry stack. Looked at before the
    // first store, which would otherwise raise the same exception for ever. TPIDRRO_EL0 is free: nothing runs at EL0.
    .macro vector_nested
    .balign 128
    msr tpidrro_el0, x0
    mrs x0, tpidr_el1
    ldr x0, [x0, #64] // PerCpu::native: the entry stack's lowest address
    sub x0, sp, x0
    cmp x0, #ENTRY_STACK_RESERVE
    b.lt trap_overflow
    mrs x0, tpidrro_el0
    save_general
    b trap_nested
    .endm

    .section .text.__eremite_vectors, "ax", @progbits
    .balign 2048
    .globl __eremite_vectors
    .hidden __eremite_vectors
__eremite_vectors:
    // From EL1 with SP_EL0: the usual case.
    vector trap_synchronous
    vector trap_interrupt
    vector trap_interrupt // FIQ: not used
    vector trap_error
    // From EL1 with SP_EL1: something went wrong on an entry stack.
    .rept 4
    vector_nested
    .endr
    // From EL0, where nothing ever runs.
    .rept 8
    vector_nested
    .endr

trap_synchronous:
    save_special "mrs x19, sp_el0"
    mov x0, sp
    mov x1, #0
    b trap_common
trap_interrupt:
    save_special "mrs x19, sp_el0"
    mov x0, sp
    mov x1, #1
    b trap_common
trap_error:
    save_special "mrs x19, sp_el0"
    mov x0, sp
    mov x1, #2
    b trap_common
trap_nested:
    save_special "mrs x19, sp_el0"
    mov x0, sp
    mov x1, #3
    b trap_common
trap_overflow:
    mov x0, sp
    msr sp_el0, x0 // the stack pointer that is reported; the thread's own is lost
    adrp x0, s_last_stack_top
    add x0, x0, :lo12:s_last_stack_top
    mov sp, x0
    mrs x0, tpidrro_el0
    save_general
    save_special "mrs x19, sp_el0"
    mov x0, sp
    mov x1, #4
trap_common:
    // Returns where the frame is now.
    bl __eremite_trap_entry
    mov x1, sp
    add sp, sp, #288
    cmp x0, x1
    b.eq trap_leave
    // On the thread's kernel stack.
    msr sp_el0, x0
    msr SPSel, #0
    isb
    mov x19, x0
    bl __eremite_trap_on_thread_stack
    mov x0, x19
    msr SPSel, #1

// Continues at the frame in x0. Interrupts off, SP_EL1 selected.
trap_leave:
    mov x30, x0
    ldp x19, x20, [x30, #248] // stack pointer, program counter
    ldr x21, [x30, #264]
    msr sp_el0, x19
    msr elr_el1, x20
    msr spsr_el1, x21
    ldp x0, x1, [x30]
    ldp x2, x3, [x30, #16]
    ldp x4, x5, [x30, #32]
    ldp x6, x7, [x30, #48]
    ldp x8, x9, [x30, #64]
    ldp x10, x11, [x30, #80]
    ldp x12, x13, [x30, #96]
    ldp x14, x15, [x30, #112]
    ldp x16, x17, [x30, #128]
    ldp x18, x19, [x30, #144]
    ldp x20, x21, [x30, #160]
    ldp x22, x23, [x30, #176]
    ldp x24, x25, [x30, #192]
    ldp x26, x27, [x30, #208]
    ldp x28, x29, [x30, #224]
    ldr x30, [x30, #240]
    eret

// [[noreturn]] void __eremite_continue_frame(TrapFrame*): continues at a frame on the thread's kernel stack.
    .globl __eremite_continue_frame
    .hidden __eremite_continue_frame
    .type __eremite_continue_frame, @function
__eremite_continue_frame:
    hint #34 // bti c
    msr daifset, #2
    msr SPSel, #1
    b trap_leave
    .size __eremite_continue_frame, . - __eremite_continue_frame

// void __eremite_set_entry_stack(u64 top)
    .section .text.__eremite_set_entry_stack, "ax", @progbits
    .globl __eremite_set_entry_stack
    .hidden __eremite_set_entry_stack
    .type __eremite_set_entry_stack, @function
__eremite_set_entry_stack:
    hint #34
    mrs x1, daif
    msr daifset, #0xf
    msr SPSel, #1
    mov sp, x0
    msr SPSel, #0
    msr daif, x1
    ret
    .size __eremite_set_entry_stack, . - __eremite_set_entry_stack

// For the report that an entry stack has overflowed, after which the machine ends. One for all processors.
    .section .bss.boot_stack, "aw", @nobits
    .balign 16
    .skip 8192
s_last_stack_top:
