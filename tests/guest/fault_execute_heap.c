// Data is not executable: a jump into the heap is reported as an attempt to execute.
// exit: 139
// expect: execut
// machines: q35 microvm virt
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void)
{
#if defined(__x86_64__)
    static const unsigned char code[] = { 0xc3 };
#else
    static const unsigned char code[] = { 0xc0, 0x03, 0x5f, 0xd6 };
#endif
    void* heap = malloc(64);
    memcpy(heap, code, sizeof code);
    __builtin___clear_cache((char*)heap, (char*)heap + sizeof code);
    puts("about to jump");
    fflush(stdout);
    ((void (*)(void))(unsigned long)heap)();
    puts("came back");
    return 0;
}
