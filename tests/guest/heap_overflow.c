// Writing behind the end of what was allocated is found by the application's malloc when it is freed.
// exit: 139|134|132|133
// reject: not noticed
// cflags: -O0
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
    volatile char* memory = malloc(40);
    puts("writing too far");
    fflush(stdout);
    for (int i = 0; i < 64; i++)
        memory[i] = 'A';
    free((void*)memory);
    puts("not noticed");
    return 0;
}
