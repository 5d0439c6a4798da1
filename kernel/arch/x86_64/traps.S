// Entry of exceptions and interrupts. All arrive on an entry stack (IST) with interrupts off; see arch/trap.h for who
// moves where. The frame's layout is native/trap_frame.h.
#define VECTORS 128

#if EREMITE_ISOLATION == 2
#include "processor_area.h"
#include "rights.inc"
#endif

    .section .text.__eremite_vector_stubs, "ax", @progbits
    .balign 16
    .globl __eremite_vector_stubs
    .hidden __eremite_vector_stubs
    // Vectors with an error code of the processor's: 8, 10 to 14, 17, 21. Each stub takes 8 bytes.
__eremite_vector_stubs:
    .set vector, 0
    .rept VECTORS
    .balign 8, 0xcc
    .if vector != 8 && (vector < 10 || vector > 14) && vector != 17 && vector != 21
    push $vector
    jmp without_code
    .else
    push $vector
    jmp with_code
    .endif
    .set vector, vector + 1
    .endr

without_code:
    // The vector stands where the error code belongs: duplicate it, then clear.
    push (%rsp)
    movq $0, 8(%rsp)
with_code:
    push %rax
    push %rcx
    push %rdx
    push %rbx
    push %rbp
    push %rsi
    push %rdi
    push %r8
    push %r9
    push %r10
    push %r11
    push %r12
    push %r13
    push %r14
    push %r15
    cld
#if EREMITE_ISOLATION == 2
    xor %ecx, %ecx
stub_keys:
    rdpkru
    mov %eax, %esi
    and $~OPEN_BITS, %eax
    key_site checked
    wrpkru
    test $OPEN_BITS, %eax
    jnz stub_forged
stub_keys_end:
    only_with_keys .text.__eremite_vector_stubs, stub_keys, stub_keys_end
    cli // for who jumped here
    // The application can set GS, to 0 at the least: this processor's page knows better.
stub_processor:
    mov PROCESSOR_SELF, %rax
    rdgsbase %rcx
    cmp %rax, %rcx
    jne stub_set_processor
    mov DOMAIN, %rdi
    cmp $DOMAIN_KERNEL, %edi
    je 2f
    // Who was in the application came here by the processor, which pushes on an entry stack: then all of the frame is true.
    mov $PROCESSOR_STACKS, %rax
    mov %rsp, %rcx
    sub %rax, %rcx
    cmp $PROCESSOR_STACKS_SIZE, %rcx
    jae stub_forged
    movl $DOMAIN_KERNEL, DOMAIN
2:  push %rdi
    push %rsi
#endif
    mov %rsp, %rdi
    xor %ebp, %ebp
    // trap_entry returns the frame to go on with: this one, or its copy on the thread's kernel stack. The copy's second
    // half of the handling runs there.
    call __eremite_trap_entry
    cmp %rax, %rsp
    je 1f
    mov %rax, %rsp
    mov %rax, %rdi
    call __eremite_trap_on_thread_stack
1:
    .globl __eremite_trap_return
    .hidden __eremite_trap_return
__eremite_trap_return:
#if EREMITE_ISOLATION == 2
    // Back to the kernel, rights are as they were. Back to who has fewer, the frame must be where those can reach it: on
    // this processor's entry stack. Nobody else's code sees it there.
    cmpl $DOMAIN_KERNEL, 8(%rsp)
    je 3f
    cli
    mov $PROCESSOR_STACKS, %rax
    mov %rsp, %rcx
    sub %rax, %rcx
    cmp $PROCESSOR_STACKS_SIZE, %rcx
    jb 2f
    mov %rsp, %rsi
    mov $PROCESSOR_RETURN, %rdi
    mov %rdi, %rdx
    mov $24, %ecx
    rep movsq
    mov %rdx, %rsp
2:  mov (%rsp), %eax
    or $TRUSTED_BITS, %eax
    mov 8(%rsp), %ecx
    mov %ecx, DOMAIN
return_keys:
    xor %ecx, %ecx
    xor %edx, %edx
    key_site checked
    wrpkru
    and $TRUSTED_BITS, %eax
    cmp $TRUSTED_BITS, %eax
    jne stub_forged
return_keys_end:
    only_with_keys .text.__eremite_vector_stubs, return_keys, return_keys_end
3:  add $16, %rsp
#endif
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rdi
    pop %rsi
    pop %rbp
    pop %rbx
    pop %rdx
    pop %rcx
    pop %rax
    add $16, %rsp
    iretq
#if EREMITE_ISOLATION == 2

stub_set_processor:
    key_site checked
    wrgsbase %rax
    cmp PROCESSOR_SELF, %rax
    je stub_processor
stub_forged:
    ud2
#endif
