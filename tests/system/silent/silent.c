// The guest's part of the test of a daemon that hangs: asks for the host to stop it, sees its requests end with EIO,
// and that all is well once the host has let it go on.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int fail(const char* what)
{
    printf("FAILED: %s: %s\n", what, strerror(errno));
    return 1;
}

int main(void)
{
    static char text[100000];
    int fd = open("/mnt/data", O_RDWR);
    if (fd < 0)
        return fail("data");
    printf("stop\n");
    fflush(stdout);
    // Until a request isn't answered any more.
    double start;
    int other;
    do {
        start = now();
        other = open("/mnt/nothing-here", O_RDONLY);
    } while (other < 0 && errno == ENOENT);
    if (other >= 0 || errno != EIO)
        return fail("open of a name while the daemon hangs");
    if (now() - start < 1.5)
        return fail("it was given up too early");
    if (read(fd, text, sizeof text) != -1 || errno != EIO)
        return fail("read while the daemon hangs");
    if (pwrite(fd, "lost?", 5, 200000) != -1 || errno != EIO)
        return fail("write while the daemon hangs");
    printf("continue\n");
    fflush(stdout);
    ssize_t count = -1;
    for (int tries = 0; tries < 100 && count < 0; tries++)
        count = pread(fd, text, sizeof text, 0);
    if (count != sizeof text)
        return fail("read after it");
    for (size_t i = 0; i < sizeof text; i++) {
        if (text[i] != 'x')
            return fail("what was read after it");
    }
    if (pwrite(fd, "found", 5, 0) != 5 || fsync(fd) || close(fd))
        return fail("write after it");
    printf("done\n");
    return 0;
}
