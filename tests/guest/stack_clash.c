// A frame that is larger than the guard below the stack can't jump over it: it is touched page by page.
// exit: 139
// expect: stack overflow in thread
// reject: not noticed
#include <stdio.h>

__attribute__((noinline)) static void use(volatile char* memory)
{
    memory[0] = 1;
}

__attribute__((noinline)) static void large_frame(unsigned long length)
{
    char memory[length];
    use(memory); // the far end alone
}

int main(void)
{
    puts("beyond the guard");
    fflush(stdout);
    volatile unsigned long length = 12ul << 20;
    large_frame(length);
    puts("not noticed");
    return 0;
}
