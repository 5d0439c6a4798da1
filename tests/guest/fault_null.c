// Page 0 is not mapped; a read through a null pointer is reported as that.
// exit: 139
// expect: null
// expect: #0 0x[0-9a-f]+
// machines: pc q35 microvm loader virt
#include <stdio.h>

__attribute__((noinline)) static int look(volatile int* pointer)
{
    return pointer[2];
}

int main(int argc, char** argv)
{
    (void)argv;
    puts("about to look");
    fflush(stdout);
    return look((volatile int*)(unsigned long)(argc - 1));
}
