// Stacks lie between pages that nobody may touch, at both ends; and nothing can be mapped at page 0.
#define _GNU_SOURCE
#include "check.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>

enum { PAGE = 4096 };

static sigjmp_buf back;

static void on_fault(int number)
{
    siglongjmp(back, number);
}

static int is_readable(uintptr_t address)
{
    if (sigsetjmp(back, 1))
        return 0;
    (void)*(volatile char*)address;
    return 1;
}

/* Pages from `address` on, in steps of `step`, until one that can't be read; `limit` if there is none. */
static int pages_to_the_end(uintptr_t address, intptr_t step, int limit)
{
    int pages = 0;
    while (pages < limit && is_readable(address)) {
        address += (uintptr_t)step;
        pages++;
    }
    return pages;
}

static void check_stack(const char* whose, int below)
{
    static char other_stack[64 * 1024];
    stack_t alternate = { .ss_sp = other_stack, .ss_size = sizeof other_stack };
    struct sigaction action = { .sa_handler = on_fault, .sa_flags = SA_ONSTACK };
    CHECK_EQ(sigaltstack(&alternate, NULL), 0);
    CHECK_EQ(sigaction(SIGSEGV, &action, NULL), 0);
    uintptr_t here = (uintptr_t)__builtin_frame_address(0) & -(uintptr_t)PAGE;
    CHECK(pages_to_the_end(here, PAGE, 1024) < 1024);
    int down = pages_to_the_end(here, -PAGE, below + 64);
    printf("%s: %d pages below\n", whose, down);
    CHECK(down < below + 64);
    alternate.ss_flags = SS_DISABLE;
    CHECK_EQ(sigaltstack(&alternate, NULL), 0);
}

static void* in_thread(void* unused)
{
    check_stack("thread", 64);
    return unused;
}

int main(void)
{
    check_stack("main", 8 * 1024 * 1024 / PAGE);
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, in_thread, NULL), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);

    void* zero = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    CHECK(zero == MAP_FAILED);
    void* memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED && memory != NULL);
    CHECK(mremap(memory, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, NULL) == MAP_FAILED);
    CHECK(!is_readable(0));
    CHECK(!is_readable(16));
    return check_result();
}
