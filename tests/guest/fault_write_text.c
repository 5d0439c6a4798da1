// A write to the program's own text is a fault that the report names.
// exit: 139
// expect: write to (read-only|text)
// expect: #0 0x[0-9a-f]+
// machines: q35 microvm virt
#include <stdio.h>

int main(void)
{
    volatile unsigned char* text = (volatile unsigned char*)(unsigned long)main;
    printf("writing to %p\n", (void*)text);
    fflush(stdout);
    *text = 0xc3;
    return 0;
}
