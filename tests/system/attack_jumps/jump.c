// Jumps right to the N-th instruction in the kernel's text that changes rights, with registers that would open all
// keys, in one of several ways; then sees whether it can read what is the kernel's.
//   jump N plain|step|entry
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#pragma GCC visibility push(hidden)
extern unsigned char __eremite_kernel_text_start[], __eremite_kernel_text_end[], __eremite_kernel_data_start[];
#pragma GCC visibility pop

static sigjmp_buf back;

static unsigned rights(void)
{
    unsigned value, high;
    __asm__ volatile("rdpkru" : "=a"(value), "=d"(high) : "c"(0));
    return value;
}

static void on_signal(int number)
{
    siglongjmp(back, number);
}

static void* site(int wanted)
{
    for (unsigned char* code = __eremite_kernel_text_start; code + 3 <= __eremite_kernel_text_end; code++) {
        if (code[0] == 0x0f && code[1] == 0x01 && code[2] == 0xef && wanted-- == 0)
            return code;
    }
    return NULL;
}

int main(int argc, char** argv)
{
    static char stack[64 * 1024];
    static char target_stack[16 * 1024];
    stack_t alternate = { .ss_sp = stack, .ss_size = sizeof stack };
    sigaltstack(&alternate, NULL);
    struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_ONSTACK };
    for (int number = 1; number < 32; number++)
        sigaction(number, &action, NULL);

    void* to = argc == 3 ? site(atoi(argv[1])) : NULL;
    if (!to) {
        puts("no such place");
        return 3;
    }
    unsigned long stack_pointer = (unsigned long)target_stack + sizeof target_stack - 1024;
    if (strcmp(argv[2], "entry") == 0)
        stack_pointer = 0xfffff80000004000; // this processor's stacks for exceptions
    unsigned long flags = strcmp(argv[2], "step") == 0 ? 0x302 : 0x202;
    printf("jumping to %p, %s\n", to, argv[2]);
    fflush(stdout);
    int number = sigsetjmp(back, 1);
    if (number == 0)
        __asm__ volatile(
            "mov %0, %%r11\n\tmov %1, %%rsp\n\tmov %%rsp, %%rbp\n\tpush %2\n\tmov $0, %%eax\n\tmov $0, %%ecx\n\t"
            "mov $0, %%edx\n\tmov $0, %%ebx\n\tmov $0, %%esi\n\tmov $0, %%edi\n\tpopfq\n\tjmp *%%r11"
            :
            : "r"(to), "r"(stack_pointer), "r"(flags)
            : "rax", "rcx", "rdx", "rsi", "rdi", "r11", "memory");
    printf("signal %d, rights %x\n", number, rights());
    fflush(stdout);
    if ((rights() & 0x0c) != 0x0c)
        puts("OPEN: the rights say so");
    number = sigsetjmp(back, 1);
    if (number == 0) {
        unsigned char byte = *(volatile unsigned char*)__eremite_kernel_data_start;
        printf("OPEN: read %x\n", byte);
    } else {
        puts("closed");
    }
    fflush(stdout);
    return 0;
}
