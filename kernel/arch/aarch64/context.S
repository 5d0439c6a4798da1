// Switching threads (arch/context.h), and entering the application.

    .macro function name
    .section .text.\name, "ax", @progbits
    .globl \name
    .hidden \name
    .type \name, @function
\name:
    hint #34 // bti c
    .endm

    // void switch_context(u64* from, u64 const* to): what a call preserves, on the stack (AAPCS64, 6.1).
    function __eremite_switch_context
    sub sp, sp, #176
    stp x19, x20, [sp]
    stp x21, x22, [sp, #16]
    stp x23, x24, [sp, #32]
    stp x25, x26, [sp, #48]
    stp x27, x28, [sp, #64]
    stp x29, x30, [sp, #80]
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    mrs x2, fpcr
    str x2, [sp, #160]
    mov x3, sp
    str x3, [x0]
    ldr x3, [x1]
    mov sp, x3
    ldp x19, x20, [sp]
    ldp x21, x22, [sp, #16]
    ldp x23, x24, [sp, #32]
    ldp x25, x26, [sp, #48]
    ldp x27, x28, [sp, #64]
    ldp x29, x30, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    ldr x2, [sp, #160]
    msr fpcr, x2
    add sp, sp, #176
    ret
    .size __eremite_switch_context, . - __eremite_switch_context

    // Where a new thread comes out of switch_context: entry in x19, argument in x20.
    function __eremite_start_context
    mov x0, x20
    mov x30, #0
    blr x19
    brk #1
    .size __eremite_start_context, . - __eremite_start_context

    // [[noreturn]] void enter_application(u64 entry, u64 stack_pointer, u64 argument)
    function __eremite_enter_application
    mov x16, x0
    mov sp, x1
    mov x0, x2
    mov x29, #0
    .weak __eremite_thread_end // not there in a program that makes no threads, whose _start never returns
    .hidden __eremite_thread_end
    adrp x30, __eremite_thread_end
    add x30, x30, :lo12:__eremite_thread_end
    msr daifclr, #2
    .inst 0xd280001f | (0x4502 << 5) // marker 2 of the instruction counter
    br x16
    .size __eremite_enter_application, . - __eremite_enter_application

    // void save_vector_state(void* area): V0 to V31, FPSR, FPCR.
    function __eremite_save_vectors
    stp q0, q1, [x0]
    stp q2, q3, [x0, #32]
    stp q4, q5, [x0, #64]
    stp q6, q7, [x0, #96]
    stp q8, q9, [x0, #128]
    stp q10, q11, [x0, #160]
    stp q12, q13, [x0, #192]
    stp q14, q15, [x0, #224]
    stp q16, q17, [x0, #256]
    stp q18, q19, [x0, #288]
    stp q20, q21, [x0, #320]
    stp q22, q23, [x0, #352]
    stp q24, q25, [x0, #384]
    stp q26, q27, [x0, #416]
    stp q28, q29, [x0, #448]
    stp q30, q31, [x0, #480]
    mrs x1, fpsr
    mrs x2, fpcr
    str x1, [x0, #512]
    str x2, [x0, #520]
    ret
    .size __eremite_save_vectors, . - __eremite_save_vectors

    function __eremite_restore_vectors
    ldp q0, q1, [x0]
    ldp q2, q3, [x0, #32]
    ldp q4, q5, [x0, #64]
    ldp q6, q7, [x0, #96]
    ldp q8, q9, [x0, #128]
    ldp q10, q11, [x0, #160]
    ldp q12, q13, [x0, #192]
    ldp q14, q15, [x0, #224]
    ldp q16, q17, [x0, #256]
    ldp q18, q19, [x0, #288]
    ldp q20, q21, [x0, #320]
    ldp q22, q23, [x0, #352]
    ldp q24, q25, [x0, #384]
    ldp q26, q27, [x0, #416]
    ldp q28, q29, [x0, #448]
    ldp q30, q31, [x0, #480]
    ldr x1, [x0, #512]
    ldr x2, [x0, #520]
    msr fpsr, x1
    msr fpcr, x2
    ret
    .size __eremite_restore_vectors, . - __eremite_restore_vectors
