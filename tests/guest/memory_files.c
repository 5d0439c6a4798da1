// Mappings of files, private and shared, and their pages after truncation.
// machines: q35 virt
// oracle: native
#define _GNU_SOURCE
#include "check.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096ul

static sigjmp_buf s_back;
static volatile sig_atomic_t s_code;

static void on_fault(int number, siginfo_t* information, void* context)
{
    (void)context;
    s_code = information->si_code;
    siglongjmp(s_back, number);
}

/// The signal that a read of `p` raises, or 0.
static int touch(volatile char* p, int write)
{
    int number = sigsetjmp(s_back, 1);
    if (number == 0) {
        if (write)
            *p = 1;
        else
            (void)*p;
    }
    return number;
}

static int make_file(size_t pages)
{
    char name[] = "/tmp/memory_files.XXXXXX";
    int fd = mkstemp(name);
    if (fd < 0) {
        perror("mkstemp");
        exit(2);
    }
    unlink(name);
    for (size_t i = 0; i < pages; i++) {
        char page[PAGE];
        memset(page, (int)i + 1, PAGE);
        if (write(fd, page, PAGE) != (ssize_t)PAGE) {
            perror("write");
            exit(2);
        }
    }
    return fd;
}

static void private_pages(void)
{
    int fd = make_file(4);
    char* p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    CHECK(p != MAP_FAILED);
    CHECK_EQ(p[2 * PAGE], 3);
    p[2 * PAGE] = 77; // read before
    p[3 * PAGE] = 78; // not read before
    char c = 0;
    CHECK_EQ(pread(fd, &c, 1, 2 * PAGE), 1);
    CHECK_EQ(c, 3);
    CHECK_EQ(p[2 * PAGE], 77);
    CHECK_EQ(p[3 * PAGE + 1], 4);
    // What was not copied shows what is written to the file.
    c = 99;
    CHECK_EQ(pwrite(fd, &c, 1, PAGE), 1);
    CHECK_EQ(p[PAGE], 99);
    CHECK_EQ(madvise(p, 4 * PAGE, MADV_DONTNEED), 0);
    CHECK_EQ(p[2 * PAGE], 3);
    // The descriptor may go before the mapping.
    close(fd);
    CHECK_EQ(p[0], 1);
    CHECK_EQ(munmap(p, 4 * PAGE), 0);
}

static void shared_pages(void)
{
    int fd = make_file(4);
    char* p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    char* q = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 2 * PAGE);
    CHECK(p != MAP_FAILED && q != MAP_FAILED);
    q[5] = 42;
    CHECK_EQ(p[2 * PAGE + 5], 42);
    p[2 * PAGE + 6] = 43;
    CHECK_EQ(q[6], 43);
    char bytes[2];
    CHECK_EQ(pread(fd, bytes, 2, 2 * PAGE + 5), 2);
    CHECK_EQ(bytes[0], 42);
    CHECK_EQ(bytes[1], 43);
    CHECK_EQ(msync(p, 4 * PAGE, MS_SYNC), 0);
    bytes[0] = 55;
    CHECK_EQ(pwrite(fd, bytes, 1, 0), 1);
    CHECK_EQ(p[0], 55);
    // read() into a mapping of the very file.
    CHECK_EQ(pread(fd, p + PAGE, PAGE, 0), (ssize_t)PAGE);
    CHECK_EQ(p[PAGE], 55);
    CHECK_EQ(pwrite(fd, p + PAGE, PAGE, 3 * PAGE), (ssize_t)PAGE);
    CHECK_EQ(p[3 * PAGE], 55);
    close(fd);
    munmap(p, 4 * PAGE);
    munmap(q, PAGE);
}

static void truncated(void)
{
    int fd = make_file(4);
    char* p = mmap(NULL, 6 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(p != MAP_FAILED);
    CHECK_EQ(p[3 * PAGE], 4);
    CHECK_EQ(touch(p + 4 * PAGE, 0), SIGBUS);
    CHECK_EQ(s_code, BUS_ADRERR);
    CHECK_EQ(ftruncate(fd, PAGE + 100), 0);
    CHECK_EQ(p[PAGE + 99], 2);
    CHECK_EQ(p[PAGE + 100], 0);
    CHECK_EQ(touch(p + 2 * PAGE, 0), SIGBUS);
    CHECK_EQ(ftruncate(fd, 3 * PAGE), 0);
    CHECK_EQ(touch(p + 2 * PAGE, 0), 0);
    CHECK_EQ(p[2 * PAGE], 0);
    p[2 * PAGE] = 6;
    char c = 0;
    CHECK_EQ(pread(fd, &c, 1, 2 * PAGE), 1);
    CHECK_EQ(c, 6);
    munmap(p, 6 * PAGE);
    close(fd);
}

static void rights(void)
{
    char name[] = "/tmp/memory_rights.XXXXXX";
    int fd = mkstemp(name);
    CHECK_EQ(write(fd, "abc", 3), 3);
    int read_only = open(name, O_RDONLY);
    int write_only = open(name, O_WRONLY);
    CHECK_ERRNO((long)mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, read_only, 0), EACCES);
    CHECK_ERRNO((long)mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, write_only, 0), EACCES);
    CHECK_ERRNO((long)mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, read_only, 100), EINVAL);
    char* p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, read_only, 0);
    CHECK(p != MAP_FAILED);
    CHECK_EQ(p[2], 'c');
    CHECK_EQ(p[3], 0);
    CHECK_ERRNO(mprotect(p, PAGE, PROT_READ | PROT_WRITE), EACCES);
    CHECK_EQ(touch(p, 1), SIGSEGV);
    CHECK_EQ(s_code, SEGV_ACCERR);
    munmap(p, PAGE);
    CHECK_EQ(touch(p, 0), SIGSEGV);
    CHECK_EQ(s_code, SEGV_MAPERR);
    char* q = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, read_only, 0);
    CHECK(q != MAP_FAILED);
    q[0] = 'x';
    char c = 0;
    CHECK_EQ(pread(fd, &c, 1, 0), 1);
    CHECK_EQ(c, 'a');
    munmap(q, PAGE);
    int directory = open("/tmp", O_RDONLY | O_DIRECTORY);
    CHECK_ERRNO((long)mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, directory, 0), ENODEV);
    close(directory);
    int ends[2];
    CHECK_EQ(pipe(ends), 0);
    CHECK_ERRNO((long)mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, ends[0], 0), ENODEV);
    close(fd);
    close(read_only);
    close(write_only);
    unlink(name);
}

static void large(void)
{
    int fd = make_file(0);
    CHECK_EQ(ftruncate(fd, 3 << 20), 0);
    char* p = mmap(NULL, 3 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(p != MAP_FAILED);
    for (size_t i = 0; i < 3 << 20; i += PAGE)
        p[i] = (char)(i >> 12);
    char c = 0;
    CHECK_EQ(pread(fd, &c, 1, 700 * PAGE), 1);
    CHECK_EQ(c, (char)700);
    char* q = mremap(p, 3 << 20, 4 << 20, MREMAP_MAYMOVE);
    CHECK(q != MAP_FAILED);
    CHECK_EQ(q[5 * PAGE], 5);
    CHECK_EQ(touch(q + (3 << 20), 0), SIGBUS);
    munmap(q, 4 << 20);
    close(fd);
}

int main(void)
{
    struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    private_pages();
    shared_pages();
    truncated();
    rights();
    large();
    return check_result();
}
