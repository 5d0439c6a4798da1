// Freeing twice is found by the application's malloc.
// exit: 139|134|132|133
// reject: not noticed
// cflags: -O0
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
    char* kept = malloc(40);
    char* memory = malloc(40);
    puts("freeing twice");
    fflush(stdout);
    free(memory);
    free(memory);
    printf("not noticed %p\n", (void*)kept);
    return 0;
}
