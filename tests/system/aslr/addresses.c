/* Prints where main, the heap, a mapping and the stack are, and a few random words. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/mman.h>

int main(void)
{
    int local;
    const unsigned char* random = (const unsigned char*)getauxval(AT_RANDOM);
    printf("main %p\n", (void*)(unsigned long)main);
    printf("heap %p\n", malloc(100));
    printf("mapping %p\n", mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    printf("stack %p\n", (void*)&local);
    printf("random ");
    for (int i = 0; random && i < 16; i++)
        printf("%02x", random[i]);
    printf("\n");
    return 0;
}
