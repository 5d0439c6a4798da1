// Memory that runs out: an error to the call, SIGBUS to a touch, and the program goes on.
// machines: q35 virt
// options: --memory 48M
// exit: 135
// expect: no frame left
// expect: both writable and executable
#define _GNU_SOURCE
#include "check.h"

#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>

#define PAGE 4096ul

static sigjmp_buf s_back;

static void on_fault(int number)
{
    siglongjmp(s_back, number);
}

static void writable_and_executable(void)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS;
    CHECK_ERRNO((long)mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, flags, -1, 0), EACCES);
    char* p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, flags, -1, 0);
    CHECK(p != MAP_FAILED);
    CHECK_ERRNO(mprotect(p, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC), EACCES);
#if defined(__x86_64__)
    memcpy(p, "\xf3\x0f\x1e\xfa\xb8\x2a\0\0\0\xc3", 10); // endbr64; mov $42, %eax; ret
#else
    memcpy(p, "\x5f\x24\x03\xd5\x40\x05\x80\x52\xc0\x03\x5f\xd6", 12); // bti c; mov w0, #42; ret
#endif
    CHECK_EQ(mprotect(p, PAGE, PROT_READ | PROT_EXEC), 0);
    __builtin___clear_cache(p, p + 12);
    CHECK_EQ(((int (*)(void))p)(), 42);
    if (sigsetjmp(s_back, 1) == 0) {
        *(volatile char*)p = 1;
        CHECK(!"text was written to");
    }
    munmap(p, PAGE);
}

static void exhausted(void)
{
    struct sysinfo before;
    struct sysinfo after;
    CHECK_EQ(sysinfo(&before), 0);
    CHECK(before.totalram > 30ul << 20 && before.totalram < 48ul << 20);
    size_t size = 512ul << 20;
    int flags = MAP_PRIVATE | MAP_ANONYMOUS;
    CHECK_ERRNO((long)mmap(NULL, size, PROT_READ | PROT_WRITE, flags, -1, 0), ENOMEM);
    for (int round = 0; round < 3; round++) {
        char* p = mmap(NULL, size, PROT_READ | PROT_WRITE, flags | MAP_NORESERVE, -1, 0);
        CHECK(p != MAP_FAILED);
        volatile size_t touched = 0;
        if (sigsetjmp(s_back, 1) == 0) {
            for (; touched < size; touched += PAGE)
                p[touched] = 1;
        }
        CHECK(touched > 20ul << 20 && touched < 48ul << 20);
        CHECK_EQ(munmap(p, size), 0);
    }
    CHECK_EQ(sysinfo(&after), 0);
    CHECK(after.freeram + 64 * PAGE > before.freeram);
    // malloc sees it as ENOMEM.
    void* volatile memory = malloc(size); // volatile: or the compiler takes it for granted
    CHECK(memory == NULL);
    memory = malloc(1 << 20);
    CHECK(memory != NULL);
    free(memory);
}

static void limited(void)
{
    struct rlimit limit = { .rlim_cur = 64 << 20, .rlim_max = RLIM_INFINITY };
    CHECK_EQ(setrlimit(RLIMIT_AS, &limit), 0);
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    CHECK_ERRNO((long)mmap(NULL, 65 << 20, PROT_READ, flags, -1, 0), ENOMEM);
    char* p = mmap(NULL, 8 << 20, PROT_READ | PROT_WRITE, flags, -1, 0);
    CHECK(p != MAP_FAILED);
    limit.rlim_cur = RLIM_INFINITY;
    CHECK_EQ(setrlimit(RLIMIT_AS, &limit), 0);
    munmap(p, 8 << 20);
}

int main(void)
{
    signal(SIGBUS, on_fault);
    signal(SIGSEGV, on_fault);
    writable_and_executable();
    limited();
    exhausted();
    signal(SIGBUS, SIG_DFL);
    // Without a handler it ends with a message; the status says so.
    printf("checks: %d, failed: %d\n", check_count, check_failures);
    fflush(stdout);
    if (check_failures != 0)
        return 1;
    char* p = mmap(NULL, 512ul << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    for (size_t i = 0;; i += PAGE)
        p[i] = 1;
}
