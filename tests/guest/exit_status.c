// The program's status is what `eremite run` ends with, also above 127.
// exit: 200
// machines: pc q35 microvm loader virt
#include <stdio.h>

int main(void)
{
    puts("leaving with 200");
    return 200;
}
