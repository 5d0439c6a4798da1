// The direction flag is the application's: a call made with it set must not make the kernel copy backwards.
// arch: x86_64
// isolation: mpk
#include "check.h"

#include <sys/utsname.h>

int main(void)
{
    struct utsname name;
    for (int turn = 0; turn < 100; turn++) {
        memset(&name, 0xee, sizeof name);
        int (*volatile call)(struct utsname*) = uname;
        struct utsname* pointer = &name;
        int result;
        __asm__ volatile("std\n\tcall *%2\n\tcld"
            : "=a"(result), "+D"(pointer)
            : "r"(call)
            : "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "memory", "cc");
        CHECK_EQ(result, 0);
        CHECK_STR(name.machine, "x86_64");
        CHECK_EQ(name.machine[sizeof name.machine - 1], 0);
    }
    return check_result();
}
