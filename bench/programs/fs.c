/* What files cost, per operation, in the directory named by the first argument. Portable POSIX C: the same program runs
 * on Eremite and in the Linux guest. Each case runs between MARK(2k+32) and MARK(2k+33). Second argument: megabytes of
 * the sequential and random cases (default 64); third: how many files are created (default 10000; 0: the sequential
 * cases alone). */
#define _GNU_SOURCE
#include "mark.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void fail(const char* what)
{
    perror(what);
    exit(1);
}

static char s_block[1 << 16];

/* Page-aligned, within the first `megabytes` (xorshift64). */
static off_t random_offset(long megabytes)
{
    static uint64_t state = 88172645463325252ull;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (off_t)(state % (uint64_t)(megabytes * 256)) * 4096;
}

#define CASE(k, name, count, ...)                                                                                      \
    do {                                                                                                               \
        long n_ = (count);                                                                                             \
        double t0_ = now();                                                                                            \
        MARK(2 * (k) + 32);                                                                                            \
        for (long i_ = 0; i_ < n_; i_++) {                                                                             \
            __VA_ARGS__;                                                                                               \
        }                                                                                                              \
        MARK(2 * (k) + 33);                                                                                            \
        double t1_ = now();                                                                                            \
        printf("case %d %s %ld %.1f\n", (k), (name), n_, (t1_ - t0_) / (double)n_);                                    \
        fflush(stdout);                                                                                                \
    } while (0)

/* A large file written, and read from its beginning: more than the guest's memory holds, maybe.
 * Returns it, open. */
static int large_file(long megabytes)
{
    int fd = open("big", O_CREAT | O_RDWR | O_TRUNC, 0644);
    if (fd < 0)
        fail("big");
    CASE(3, "write_sequential_64k", megabytes * 16, if (write(fd, s_block, 65536) != 65536) fail("write"));
    CASE(4, "fsync", 1, if (fsync(fd)) fail("fsync"));
    lseek(fd, 0, SEEK_SET);
    CASE(5, "read_sequential_64k", megabytes * 16, if (read(fd, s_block, 65536) != 65536) fail("read"));
    return fd;
}

int main(int argc, char** argv)
{
    const char* directory = argc > 1 ? argv[1] : "/tmp";
    long megabytes = argc > 2 ? atol(argv[2]) : 64;
    long files = argc > 3 ? atol(argv[3]) : 10000;
    struct stat st;
    char name[64];
    int fd;

    if (chdir(directory))
        fail(directory);
    if (files == 0) {
        close(large_file(megabytes));
        unlink("big");
        printf("done\n");
        return 0;
    }
    fd = open("small", O_CREAT | O_RDWR | O_TRUNC, 0644);
    if (fd < 0 || write(fd, s_block, 4096) != 4096)
        fail("small");
    close(fd);

    CASE(0, "open_close", 2000, {
        fd = open("small", O_RDONLY);
        if (fd < 0)
            fail("open");
        close(fd);
    });
    CASE(1, "stat", 2000, if (stat("small", &st)) fail("stat"));
    fd = open("small", O_RDONLY);
    CASE(2, "read_cached_100", 2000, if (pread(fd, s_block, 100, 0) != 100) fail("pread"));
    close(fd);

    fd = large_file(megabytes);
    CASE(6, "read_random_4k", 2000, {
        off_t offset = random_offset(megabytes);
        if (pread(fd, s_block, 4096, offset) != 4096)
            fail("pread");
    });
    CASE(7, "write_random_4k", 2000, {
        off_t offset = random_offset(megabytes);
        if (pwrite(fd, s_block, 4096, offset) != 4096)
            fail("pwrite");
    });
    close(fd);
    unlink("big");

    if (mkdir("many", 0755))
        fail("mkdir");
    CASE(8, "create", files, {
        snprintf(name, sizeof name, "many/f%ld", i_);
        fd = open(name, O_CREAT | O_WRONLY | O_EXCL, 0644);
        if (fd < 0)
            fail(name);
        close(fd);
    });
    long seen = 0;
    CASE(9, "readdir_all", 1, {
        DIR* d = opendir("many");
        if (!d)
            fail("opendir");
        while (readdir(d))
            seen++;
        closedir(d);
    });
    if (seen != files + 2) {
        fprintf(stderr, "readdir saw %ld entries, not %ld\n", seen, files + 2);
        return 1;
    }
    CASE(10, "unlink", files, {
        snprintf(name, sizeof name, "many/f%ld", i_);
        if (unlink(name))
            fail(name);
    });
    rmdir("many");
    unlink("small");
    printf("done\n");
    return 0;
}
