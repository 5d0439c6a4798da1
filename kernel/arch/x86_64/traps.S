// Entry of exceptions and interrupts. All arrive on an entry stack (IST) with interrupts off; see arch/trap.h for who
// moves where. The frame's layout is native/trap_frame.h.
#define VECTORS 128

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
