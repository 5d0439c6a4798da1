// A kernel stack that overflows hits its guard page: the report says so, from another stack. The program, which runs at
// the kernel's level of privilege, borrows what is left of its thread's kernel stack and goes on down; with protection
// keys it can't as much as read where that is.
// exit: 134
// expect: panic: kernel stack overflow in thread main
// expect: image base 0x
// isolation: stack mpk
// exit-mpk: 139
// expect-mpk: isolation: application read
#include <stdio.h>

int main(void)
{
    puts("going down");
    fflush(stdout);
    // 40: PerCpu::kernel_stack_bottom
#if defined(__x86_64__)
    __asm__ volatile("mov %%gs:40, %%rsp; add $128, %%rsp; 1: push $0; jmp 1b" ::: "memory");
#else
    __asm__ volatile("mrs x0, tpidr_el1; ldr x0, [x0, #40]; add sp, x0, #128; 1: stp xzr, xzr, [sp, #-16]!; b 1b" ::
            : "x0", "memory");
#endif
    return 0;
}
