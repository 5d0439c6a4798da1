// With the option exec=never nothing becomes executable while the program runs.
// options: --append exec=never
// expect: option exec=never
#include "check.h"

#include <sys/mman.h>

int main(void)
{
    char* memory = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (!CHECK(memory != MAP_FAILED))
        return check_result();
    memory[0] = (char)0xc3;
    CHECK_ERRNO(mprotect(memory, 8192, PROT_READ | PROT_EXEC), EACCES);
    CHECK_ERRNO((long)mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), EACCES);
    memory[1] = 1; // still writable
    CHECK_EQ(memory[1], 1);
    return check_result();
}
