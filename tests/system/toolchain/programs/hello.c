#include <stdio.h>

int main(void)
{
    printf("hello from C %d\n", 99);
    return 3;
}
