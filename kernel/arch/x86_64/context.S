// switch_context and the ways into a new context (arch/context.h).
#if EREMITE_ISOLATION == 2
#include "rights.inc"
#endif

    .section .text.__eremite_switch_stacks, "ax", @progbits
    .globl __eremite_switch_stacks
    .hidden __eremite_switch_stacks
    .type __eremite_switch_stacks, @function
// switch_stacks(u64* from, u64 to): what a call must preserve, the stack pointer last.
__eremite_switch_stacks:
    push %rbp
    push %rbx
    push %r12
    push %r13
    push %r14
    push %r15
    sub $8, %rsp
    stmxcsr (%rsp)
    fnstcw 4(%rsp)
#if EREMITE_ISOLATION == 2
    xor %ecx, %ecx
    xor %eax, %eax
1:  rdpkru
2:  only_with_keys .text.__eremite_switch_stacks, 1b, 2b
    push %rax
    mov %eax, %r8d
#endif
    mov %rsp, (%rdi)
    mov %rsi, %rsp
#if EREMITE_ISOLATION == 2
    pop %rax
    cmp %eax, %r8d
    je 5f
3:  xor %edx, %edx
    key_site checked
    wrpkru
    // Only the kernel switches: an application that jumped to there ends here.
    cmpl $DOMAIN_KERNEL, DOMAIN
    jne 6f
4:  only_with_keys .text.__eremite_switch_stacks, 3b, 4b
5:
#endif
    ldmxcsr (%rsp)
    fldcw 4(%rsp)
    add $8, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbx
    pop %rbp
    ret
#if EREMITE_ISOLATION == 2
6:  ud2
#endif
    .size __eremite_switch_stacks, . - __eremite_switch_stacks

    .section .text.__eremite_context_start, "ax", @progbits
    .globl __eremite_context_start
    .hidden __eremite_context_start
// prepare_context leaves the entry in RBX and its argument in R12.
__eremite_context_start:
    mov %r12, %rdi
    xor %ebp, %ebp
    call *%rbx
    ud2

    .section .text.__eremite_enter_application, "ax", @progbits
    .globl __eremite_enter_application
    .hidden __eremite_enter_application
// enter_application(entry, stack pointer, argument): registers cleared, so that nothing of the kernel's leaks.
__eremite_enter_application:
    mov %rdi, %rax
    mov %rsi, %rsp
    mov %rdx, %rdi
#if EREMITE_ISOLATION == 2
    mov %rax, %rsi
    movl $DOMAIN_APPLICATION, DOMAIN
    close_keys .text.__eremite_enter_application
    mov %rsi, %rax
#endif
    xor %edx, %edx
    xor %esi, %esi
    xor %ecx, %ecx
    xor %ebx, %ebx
    xor %ebp, %ebp
    xor %r8d, %r8d
    xor %r9d, %r9d
    xor %r10d, %r10d
    xor %r11d, %r11d
    xor %r12d, %r12d
    xor %r13d, %r13d
    xor %r14d, %r14d
    xor %r15d, %r15d
    sti
    .byte 0x0f, 0x1f, 0x80, 2, 0x45, 0x52, 0x45 // marker 2 of the instruction counter
    jmp *%rax
