// Where things are, and the canary.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/mman.h>

int main(void)
{
    int local;
    void* mapping = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    printf("image %lx\nheap %lx\nmapping %lx\nstack %lx\ncanary %llx\n", (unsigned long)main, (unsigned long)malloc(16),
        (unsigned long)mapping, (unsigned long)&local, *(const unsigned long long*)getauxval(AT_RANDOM));
    return 0;
}
