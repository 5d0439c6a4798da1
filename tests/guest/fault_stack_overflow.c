// Endless recursion runs into the guard page below the stack, and the report says so.
// exit: 139
// expect: stack overflow
// machines: q35 microvm loader virt
// cflags: -O1
#include <stdio.h>

__attribute__((noinline)) static int recurse(volatile int* depth)
{
    volatile char frame[512];
    frame[0] = (char)*depth;
    ++*depth;
    return recurse(depth) + frame[0];
}

int main(void)
{
    volatile int depth = 0;
    puts("going down");
    fflush(stdout);
    return recurse(&depth);
}
