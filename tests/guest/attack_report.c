// Without a handler, the report says who touched what, where, and from where.
// arch: x86_64
// isolation: mpk
// exit: 139
// expect: application wrote trusted kernel memory at 0x[0-9a-f]+ .heap or page table, in the direct map., from 0x
// expect: main at
#include "attack.h"

int main(void)
{
    *(volatile int*)(DIRECT_MAP + 0x1000000) = 1;
    return 0;
}
