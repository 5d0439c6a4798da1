// What a single process cannot have fails with ENOSYS, and the kernel says once which call it was.
// expect: fork
#include "check.h"

#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
    CHECK_ERRNO(fork(), ENOSYS);
    CHECK_ERRNO(fork(), ENOSYS);
    char* arguments[] = { "/bin/true", NULL };
    CHECK_ERRNO(execv("/bin/true", arguments), ENOSYS);
    return check_result();
}
