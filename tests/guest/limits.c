// RLIMITs that the kernel enforces: descriptors, address space; and those that it keeps.
// oracle: native
#include "check.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

int main(void)
{
    struct rlimit old, limit;
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
    limit = (struct rlimit) { .rlim_cur = 16, .rlim_max = old.rlim_max };
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    CHECK_ERRNO(fcntl(0, F_DUPFD, 16), EINVAL);
    int last = -1;
    for (int i = 0; i < 16; i++) {
        int fd = dup(0);
        if (fd < 0)
            break;
        last = fd;
    }
    CHECK_EQ(last, 15);
    CHECK_ERRNO(dup(0), EMFILE);
    for (int fd = 3; fd <= last; fd++)
        close(fd);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &old), 0);

    CHECK_EQ(getrlimit(RLIMIT_STACK, &limit), 0);
    CHECK(limit.rlim_cur >= 1 << 20);
    limit.rlim_cur = limit.rlim_max = RLIM_INFINITY;
    CHECK_EQ(getrlimit(RLIMIT_AS, &old), 0);
    limit = (struct rlimit) { .rlim_cur = 1 << 30, .rlim_max = old.rlim_max };
    CHECK_EQ(setrlimit(RLIMIT_AS, &limit), 0);
    CHECK_ERRNO(
        mmap(NULL, (size_t)2 << 30, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0, ENOMEM);
    CHECK_EQ(setrlimit(RLIMIT_AS, &old), 0);

    limit = (struct rlimit) { .rlim_cur = 2, .rlim_max = 1 };
    CHECK_ERRNO(setrlimit(RLIMIT_CORE, &limit), EINVAL);
    CHECK_ERRNO(getrlimit(99, &limit), EINVAL);
    return check_result();
}
