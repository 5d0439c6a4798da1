// Jumps to every place in the kernel's text that could open keys, and right behind it: each ends in a signal or is a
// system call like any other, and afterwards the kernel's memory is as closed as before.
// arch: x86_64
// isolation: mpk
#include "attack.h"

#include <stdio.h>
#include <unistd.h>

/* Where jump() finds its own stack again. */
__attribute__((used, visibility("hidden"))) void* jump_stack;

/// Goes to `target` with EAX `rights`, RCX and RDX 0, RBP `call`: what the gate there takes for the call to make. Its
/// stack is what a gate takes to return by (a frame pointer, an address), and in the same place what the return from an
/// exception pops: either way comes back to here. Returns the rights at that moment: any call, and a signal too, would
/// close the keys.
__attribute__((naked)) static uint32_t jump(__attribute__((unused)) uintptr_t target,
    __attribute__((unused)) uint32_t rights, __attribute__((unused)) uintptr_t call)
{
    __asm__("push %rbp; push %rbx; push %r12; push %r13; push %r14; push %r15\n\t"
            "mov %rsp, jump_stack(%rip)\n\t"
            "mov %rdi, %r11\n\tmov %esi, %eax\n\tlea 1f(%rip), %rbx\n\tmov %rsp, %rcx\n\t"
            "push $0x10; push %rcx; pushfq; push $0x08; push %rbx\n\t" /* for IRETQ */
            "sub $136, %rsp\n\t" /* the registers, vector and code */
            "push %rbx; push %rbp\n\t" /* for a gate */
            "mov %rdx, %rbp\n\txor %ecx, %ecx\n\txor %edx, %edx\n\t"
            "xor %edi, %edi; xor %esi, %esi; xor %r8d, %r8d; xor %r9d, %r9d; xor %r10d, %r10d\n\t"
            "jmp *%r11\n"
            "1:\tmov jump_stack(%rip), %rsp\n\txor %ecx, %ecx\n\trdpkru\n\t"
            "pop %r15; pop %r14; pop %r13; pop %r12; pop %rbx; pop %rbp\n\tret");
}

#pragma GCC visibility push(hidden)
extern long __eremite_sys_getppid(void);
#pragma GCC visibility pop

enum { k_trusted_closed = 3 << 2 }; // PKRU's bits of key 1

int main(void)
{
    attack_begin();
    /* The gate of getppid begins with LEA of what it calls. */
    const uint8_t* gate = (const uint8_t*)(uintptr_t)__eremite_sys_getppid;
    uintptr_t call = (uintptr_t)gate + 7 + (uintptr_t)(intptr_t)*(const int32_t*)(gate + 3);
    CHECK_EQ(gate[1], 0x8d);
    int sites = 0;
    const uint8_t* end = (const uint8_t*)__eremite_kernel_text_end;
    for (const uint8_t* at = (const uint8_t*)__eremite_kernel_text_start; at + 3 < end; at++) {
        if (at[0] != 0x0f || at[1] != 0x01 || at[2] != 0xef)
            continue;
        sites++;
        for (int behind = 0; behind < 2; behind++) {
            uintptr_t target = (uintptr_t)at + (behind ? 3 : 0);
            for (int open = 0; open < 3; open++) {
                volatile uint32_t came_with = k_trusted_closed;
                int met = ATTACK(came_with = jump(target, open == 0 ? 0 : open == 1 ? 0xffffffffu : 0xcu, call));
                printf("%#lx+%d, %d: signal %d, code %d, rights %#x\n",
                    (long)((uintptr_t)at - (uintptr_t)__eremite_kernel_text_start), behind, open, met, attack_code,
                    came_with);
                CHECK(met == 0 || met == SIGSEGV || met == SIGILL);
                CHECK_EQ(came_with & k_trusted_closed, k_trusted_closed);
                CHECK_CLOSED(__eremite_kernel_data_start);
            }
        }
    }
    CHECK(sites >= 5);
    CHECK_EQ(getppid(), 0);
    return check_result();
}
