// The gates' common part (syscall/gate.h). RAX: the call's record; R10: its body; arguments where the C calling convention has them.
#define PENDING_SIGNAL 2
#define PENDING_TRACE 4
#define PERCPU_STACK %gs:8
#define PERCPU_PENDING %gs:24

    // Not there unless strace is in the image: then nothing is ever traced.
    .weak __eremite_trace_enter
    .weak __eremite_trace_exit

#if EREMITE_ISOLATION == 2
#include "rights.inc"
    // RAX: the call's entry in eremite_calls (native/gate.h); arguments as above. Whatever RAX is, what gets called is the
    // body of some call; and what the application's stack pointer points to is touched with the application's rights only.
    .section .text.__eremite_gate, "ax", @progbits
    .globl __eremite_gate
    .hidden __eremite_gate
    .type __eremite_gate, @function
__eremite_gate:
    push %rbp
    mov %rax, %rbp
    mov %rdx, %r10
    mov %rcx, %r11
    open_gate .text.__eremite_gate
    mov %rsp, %rdx
    mov PERCPU_STACK, %rsp
    push %rbp
    push %rbp
    lea __eremite_calls_start(%rip), %rax
    sub %rax, %rbp
    cmp $__eremite_calls_size, %rbp
    jae no_call
    test $7, %bpl
    jnz no_call
    mov %rdx, %rbp
    mov (%rsp), %rax
    mov %r10, %rdx
    mov %r11, %rcx
    testl $PENDING_TRACE, PERCPU_PENDING
    jnz traced
    movslq (%rax), %r10
    add %rax, %r10
    call *%r10
    // A thread that is interrupted from here on, while something becomes pending, goes back to here (traps.cpp).
    .globl __eremite_gate_check_start
    .hidden __eremite_gate_check_start
__eremite_gate_check_start:
    testl $PENDING_SIGNAL, PERCPU_PENDING
    jnz finish
    mov %rax, %r10
    movl $DOMAIN_APPLICATION, DOMAIN
    .globl __eremite_gate_check_end
    .hidden __eremite_gate_check_end
__eremite_gate_check_end:
    // Interrupted before this instruction, it is carried out there: a signal's frame goes below the stack pointer.
    mov %rbp, %rsp
    close_keys .text.__eremite_gate
    mov %r10, %rax
    xor %edi, %edi
    xor %esi, %esi
    xor %r8d, %r8d
    xor %r9d, %r9d
    xor %r10d, %r10d
    xor %r11d, %r11d
    .globl __eremite_gate_leave
    .hidden __eremite_gate_leave
__eremite_gate_leave:
    pop %rbp
    ret
no_call:
    ud2

    // Makes the call at RAX again, with the stack as __eremite_gate_leave has it. (RET, as gates are no landing pads.)
    .globl __eremite_gate_again
    .hidden __eremite_gate_again
__eremite_gate_again:
    pop %rbp
    push %rax
    ret

traced:
    push %r9
    push %r8
    push %rcx
    push %rdx
    push %rsi
    push %rdi
    movslq 4(%rax), %rdi
    lea 4(%rax, %rdi), %rdi
    mov %rsp, %rsi
    call __eremite_trace_enter
    pop %rdi
    pop %rsi
    pop %rdx
    pop %rcx
    pop %r8
    pop %r9
    sub $48, %rsp // the arguments stay there for the exit
    mov 48(%rsp), %rax
    movslq (%rax), %r10
    add %rax, %r10
    call *%r10
    push %rax
    push %rax
    mov 64(%rsp), %rdi
    movslq 4(%rdi), %rax
    lea 4(%rdi, %rax), %rdi
    lea 16(%rsp), %rsi
    mov (%rsp), %rdx
    call __eremite_trace_exit
    pop %rax
    add $56, %rsp
    jmp __eremite_gate_check_start

finish:
    mov (%rsp), %rcx
    movslq 4(%rcx), %rsi
    lea 4(%rcx, %rsi), %rsi // the record
    mov %rbp, %rcx
    lea __eremite_gate_leave(%rip), %rdx
    jmp finish_call
#elif EREMITE_ISOLATION != 0
    .section .text.__eremite_gate, "ax", @progbits
    .globl __eremite_gate
    .hidden __eremite_gate
    .type __eremite_gate, @function
__eremite_gate:
    push %rbp
    mov %rsp, %rbp
    // One instruction: whichever processor runs it, it is the stack of this thread.
    mov PERCPU_STACK, %rsp
    push %rax
    push %rax
    testl $PENDING_TRACE, PERCPU_PENDING
    jnz traced
    call *%r10
    // A thread that is interrupted from here on, while something becomes pending, goes back to here (traps.cpp).
    .globl __eremite_gate_check_start
    .hidden __eremite_gate_check_start
__eremite_gate_check_start:
    testl $PENDING_SIGNAL, PERCPU_PENDING
    jnz finish
    leave
    .globl __eremite_gate_check_end
    .hidden __eremite_gate_check_end
__eremite_gate_check_end:
    ret

traced:
    push %r9
    push %r8
    push %rcx
    push %rdx
    push %rsi
    push %rdi
    mov %rax, %rdi
    mov %rsp, %rsi
    call __eremite_trace_enter
    pop %rdi
    pop %rsi
    pop %rdx
    pop %rcx
    pop %r8
    pop %r9
    sub $48, %rsp // the arguments stay there for the exit
    mov 48(%rsp), %rax
    movslq (%rax), %r10
    add %rax, %r10
    call *%r10
    push %rax
    push %rax
    mov 64(%rsp), %rdi
    lea 16(%rsp), %rsi
    mov %rax, %rdx
    call __eremite_trace_exit
    pop %rax
    add $56, %rsp
    jmp __eremite_gate_check_start

finish:
    mov (%rsp), %rsi // the record
    lea 16(%rbp), %rcx // the application's stack pointer after the return
    mov 8(%rbp), %rdx
    mov (%rbp), %rbp
    jmp finish_call
#else
    // No gate: nothing to go back to.
    .section .text.__eremite_gate_check_start, "ax", @progbits
    .globl __eremite_gate_check_start
    .hidden __eremite_gate_check_start
    .globl __eremite_gate_check_end
    .hidden __eremite_gate_check_end
__eremite_gate_check_start:
__eremite_gate_check_end:
    int3

    // long finish_call(record, result), called by a gate on the application's stack; the work is done on the kernel's.
    .section .text.__eremite_finish_call, "ax", @progbits
    .globl __eremite_finish_call
    .hidden __eremite_finish_call
    .type __eremite_finish_call, @function
__eremite_finish_call:
    mov %rsi, %rax
    mov %rdi, %rsi
    lea 8(%rsp), %rcx
    mov (%rsp), %rdx
    jmp finish_call

    // long call_on_kernel_stack(void* body, long a, long b)
    .section .text.__eremite_call_on_kernel_stack, "ax", @progbits
    .globl __eremite_call_on_kernel_stack
    .hidden __eremite_call_on_kernel_stack
    .type __eremite_call_on_kernel_stack, @function
__eremite_call_on_kernel_stack:
    push %rbp
    mov %rsp, %rbp
    mov PERCPU_STACK, %rsp
    mov %rdi, %rax
    mov %rsi, %rdi
    mov %rdx, %rsi
    call *%rax
    leave
    ret
#endif

    .section .text.__eremite_finish, "ax", @progbits
// RAX result, RSI record, RCX stack pointer and RDX instruction to continue at, callee-saved registers as there. Builds a
// TrapFrame (native/trap_frame.h), has the kernel look at what is pending, and continues at the frame.
finish_call:
    mov PERCPU_STACK, %rsp
    push $0x10
    push %rcx
    pushfq
    push $0x08
    push %rdx
    push $0
    push $0
    push %rax
    push $0 // rcx
    push $0 // rdx
    push %rbx
    push %rbp
    push $0 // rsi
    push $0 // rdi
    push $0 // r8
    push $0
    push $0
    push $0 // r11
    push %r12
    push %r13
    push %r14
    push %r15
#if EREMITE_ISOLATION == 2
    push $DOMAIN_APPLICATION
    xor %ecx, %ecx
finish_keys:
    rdpkru
finish_keys_end:
    only_with_keys .text.__eremite_finish, finish_keys, finish_keys_end
    or $KERNEL_BITS, %eax
    push %rax
#endif
    mov %rsp, %rdi
    call __eremite_system_call_exit
    jmp __eremite_trap_return

    // A signal handler returns here, with the stack pointer at its frame.
    .section .text.__eremite_restore_rt, "ax", @progbits
    .globl __eremite_restore_rt
    .hidden __eremite_restore_rt
    .type __eremite_restore_rt, @function
    nop // unwinders look up the instruction before a return address
__eremite_restore_rt:
#if EREMITE_ISOLATION == 2
    open_gate .text.__eremite_restore_rt
#endif
    mov %rsp, %rcx
    mov PERCPU_STACK, %rsp
    push $0x10
    push %rcx
    pushfq
    push $0x08
    lea __eremite_restore_rt(%rip), %rdx
    push %rdx
#if EREMITE_ISOLATION == 2
    sub $152, %rsp // pop_signal_frame sets the rest
#else
    sub $136, %rsp // pop_signal_frame sets the rest
#endif
    mov %rsp, %rdi
    call __eremite_signal_return
    jmp __eremite_trap_return

    // int set_thread_area(void*): the thread pointer needs no kernel.
    .section .text.__eremite_set_thread_area, "ax", @progbits
    .globl __eremite_set_thread_area
    .hidden __eremite_set_thread_area
    .type __eremite_set_thread_area, @function
__eremite_set_thread_area:
    wrfsbase %rdi
    xor %eax, %eax
    ret

    .section .text.__eremite_thread_end, "ax", @progbits
    .globl __eremite_thread_end
    .hidden __eremite_thread_end
    .type __eremite_thread_end, @function
    nop
__eremite_thread_end:
    sub $8, %rsp
    mov %rax, %rdi
    call __eremite_sys_exit
    ud2
