// An entry stack that overflows: there is nothing left to save the registers to, and still there is a report.
// On x86_64 each exception begins its entry stack anew.
// arch: aarch64
// exit: 134
// expect: panic: entry stack overflow in the kernel
// expect: image base 0x
// isolation: stack
#include <stdio.h>

int main(void)
{
    puts("going down");
    fflush(stdout);
    // 64: PerCpu::native, the entry stack's lowest address
    __asm__ volatile("msr daifset, #2; mrs x0, tpidr_el1; ldr x0, [x0, #64]; msr SPSel, #1; add sp, x0, #128\n"
                     "1: stp xzr, xzr, [sp, #-16]!; b 1b" ::
                         : "x0", "memory");
    return 0;
}
