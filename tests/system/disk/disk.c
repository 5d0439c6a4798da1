// The guest's part of the tests of a disk that is full, of one that has errors, and of one whose machine is killed:
// disk FOLDER full|errors|unsynced|removed.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static char s_block[65536], s_back[65536];

static int fail(const char* what)
{
    printf("FAILED: %s: %s\n", what, strerror(errno));
    fflush(stdout);
    exit(1);
}

static void fill_block(unsigned seed)
{
    for (size_t i = 0; i < sizeof s_block; i++)
        s_block[i] = (char)((i + seed) * 31 % 253);
}

/* Writes until there is no more room; how much is in the file then. */
static off_t fill(const char* name, unsigned seed)
{
    int fd = open(name, O_CREAT | O_TRUNC | O_RDWR, 0644);
    if (fd < 0)
        fail(name);
    fill_block(seed);
    off_t size = 0;
    ssize_t n;
    for (size_t at; at = (size_t)size % sizeof s_block, (n = write(fd, s_block + at, sizeof s_block - at)) > 0;)
        size += n;
    if (n != -1 || errno != ENOSPC)
        fail("a write to a full disk");
    if (fsync(fd))
        fail("fsync of what fitted");
    struct stat st;
    if (fstat(fd, &st) || st.st_size != size)
        fail("the size of what fitted");
    close(fd);
    return size;
}

static void check_file(const char* name, off_t size, unsigned seed)
{
    int fd = open(name, O_RDONLY);
    if (fd < 0)
        fail(name);
    fill_block(seed);
    off_t at = 0;
    ssize_t n;
    for (size_t in; in = (size_t)at % sizeof s_block, (n = read(fd, s_back, sizeof s_back - in)) > 0; at += n) {
        if (memcmp(s_back, s_block + in, (size_t)n) != 0)
            fail("what a full disk holds");
    }
    if (at != size)
        fail("how much a full disk holds");
    close(fd);
}

static int full(void)
{
    struct statvfs before, after;
    if (statvfs(".", &before))
        fail("statvfs");
    int kept = open("kept", O_CREAT | O_RDWR, 0644);
    fill_block(1);
    if (write(kept, s_block, sizeof s_block) != sizeof s_block || fsync(kept))
        fail("kept");
    for (unsigned round = 0; round < 3; round++) {
        const off_t size = fill("filler", 10 + round);
        if (size < (off_t)(before.f_bsize * before.f_bavail * 8 / 10))
            fail("the disk is full too early");
        // Overwriting needs no room, and what there is can be read.
        fill_block(1);
        if (pwrite(kept, s_block, sizeof s_block, 0) != sizeof s_block || fsync(kept))
            fail("overwriting on a full disk");
        check_file("kept", sizeof s_block, 1);
        check_file("filler", size, 10 + round);
        // Names may fit still, or not; nothing is lost by trying.
        int made = 0;
        char name[32];
        for (; made < 5000; made++) {
            snprintf(name, sizeof name, "name-%d", made);
            if (symlink(
                    "a-target-that-is-so-long-that-it-needs-a-block-of-its-own-because-it-does-not-fit-into-the-inode",
                    name))
                break;
        }
        if (made < 5000 && errno != ENOSPC)
            fail("a symlink on a full disk");
        while (made-- > 0) {
            snprintf(name, sizeof name, "name-%d", made);
            if (unlink(name))
                fail("removing a name on a full disk");
        }
        if (unlink("filler"))
            fail("removing the filler");
        sync();
    }
    close(kept);
    if (unlink("kept"))
        fail("removing what was kept");
    sync();
    if (statvfs(".", &after) || after.f_bfree + 8 < before.f_bfree || after.f_ffree != before.f_ffree)
        fail("what was removed is not free again");
    printf("full disk: done\n");
    return 0;
}

/* Reads and writes that fail must say so, and nothing else may happen. */
static int errors(void)
{
    unsigned failures = 0, successes = 0;
    for (int i = 0; i < 300; i++) {
        char name[32];
        snprintf(name, sizeof name, "file-%d", i % 20);
        errno = 0;
        int fd = open(name, O_CREAT | O_RDWR, 0644);
        int good = fd >= 0;
        fill_block((unsigned)i);
        if (good)
            good = write(fd, s_block, 20000) == 20000 && fsync(fd) == 0;
        if (good && (pread(fd, s_back, 20000, 0) != 20000 || memcmp(s_back, s_block, 20000) != 0))
            fail("what was read back without an error");
        if (!good && errno != EIO && errno != EROFS)
            fail("an error that is none of a disk's");
        good ? successes++ : failures++;
        if (fd >= 0)
            close(fd);
        if (i % 7 == 0)
            unlink(name);
    }
    printf("errors: %u failures, %u successes\n", failures, successes);
    return 0;
}

/* A file comes, and goes again. */
static int removed(void)
{
    int fd = open("large", O_CREAT | O_RDWR, 0640);
    for (int i = 0; i < 512; i++) {
        fill_block((unsigned)i);
        if (fd < 0 || write(fd, s_block, sizeof s_block) != sizeof s_block)
            fail("large");
    }
    if (fsync(fd) || close(fd) || unlink("large"))
        fail("large");
    sync();
    return 0;
}

/* A file that nobody syncs, by a machine that is switched off some time later. */
static int unsynced(void)
{
    int fd = open("unsynced", O_CREAT | O_RDWR, 0640);
    fill_block(5);
    if (fd < 0 || write(fd, s_block, sizeof s_block) != sizeof s_block)
        fail("unsynced");
    printf("written\n");
    fflush(stdout);
    sleep(100);
    return 0;
}

int main(int argc, char** argv)
{
    if (argc != 3 || chdir(argv[1]))
        return 2;
    if (strcmp(argv[2], "removed") == 0)
        return removed();
    if (strcmp(argv[2], "unsynced") == 0)
        return unsynced();
    return strcmp(argv[2], "full") == 0 ? full() : errors();
}
