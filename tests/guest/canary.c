// A smashed stack is found by the canary, before the function returns.
// exit: 139|134|132|133
// reject: not noticed
// cflags: -O1 -fstack-protector-all
#include <stdio.h>
#include <string.h>

__attribute__((noinline)) static void smash(volatile unsigned long length)
{
    char small[8];
    memset((void*)(unsigned long)small, 0x41, length);
    __asm__ volatile("" ::"r"(small) : "memory");
}

int main(void)
{
    puts("smashing");
    fflush(stdout);
    smash(48);
    puts("not noticed");
    return 0;
}
