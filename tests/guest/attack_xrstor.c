// The kernel's one XRSTOR is of no use to who jumps to it, whatever the area says of PKRU; nor is its WRGSBASE.
// arch: x86_64
// isolation: mpk
#include "attack.h"

#include <string.h>

static char area[4096] __attribute__((aligned(64)));

__attribute__((naked)) static void jump(__attribute__((unused)) uintptr_t target, __attribute__((unused)) void* memory)
{
    __asm__("push %rbp; push %rbx; mov %rdi, %r11\n\t"
            "mov %rsi, %rdi; mov %rsi, %rbx; mov %rsi, %rcx; mov %rsi, %r8; mov %rsi, %r9; mov %rsi, %r10\n\t"
            "mov %rsi, %r12; mov %rsi, %r13; mov %rsi, %r14; mov %rsi, %r15; mov %rsi, %rbp\n\t"
            "mov $-1, %eax; mov $-1, %edx; jmp *%r11");
}

int main(void)
{
    attack_begin();
    int restores = 0, bases = 0;
    const unsigned char* end = (const unsigned char*)__eremite_kernel_text_end;
    for (const unsigned char* at = (const unsigned char*)__eremite_kernel_text_start; at + 8 < end; at++) {
        int restore = at[0] == 0x0f && at[1] == 0xae && at[2] >> 6 != 3 && (at[2] >> 3 & 7) == 5;
        int base = at[0] == 0xf3 && (at[1] & 0xf0) == 0x40 && at[2] == 0x0f && at[3] == 0xae && at[4] >> 3 == 0x1b;
        if (!restore && !base)
            continue;
        restores += restore;
        bases += base;
        for (int keys = 0; keys < 2; keys++) {
            memset(area, 0, sizeof area);
            area[24] = (char)0x80, area[25] = 0x1f; /* MXCSR */
            area[513] = keys ? 2 : 0; /* XSTATE_BV: PKRU */
            int met = ATTACK(jump((uintptr_t)at, area));
            CHECK(met == SIGSEGV || met == SIGILL);
            CHECK_CLOSED(__eremite_kernel_data_start);
        }
    }
    CHECK(restores >= 1);
    CHECK(bases >= 1);
    return check_result();
}
