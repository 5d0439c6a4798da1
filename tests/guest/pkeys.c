// Protection keys of the application's own: allocation, rights that belong to the thread, SEGV_PKUERR with the key, and
// calls that honour them.
// arch: x86_64
// isolation: mpk
#define _GNU_SOURCE
#include "attack.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#pragma GCC visibility push(hidden)
extern int __eremite_pkey_set(int key, unsigned access);
extern int __eremite_pkey_get(int key);
#pragma GCC visibility pop

static char* page;
static int key;

static void* in_thread(void* unused)
{
    (void)unused;
    CHECK_EQ(__eremite_pkey_get(key), 2); /* inherited */
    CHECK_EQ(__eremite_pkey_set(key, 0), 0);
    *page = 'c';
    return NULL;
}

int main(void)
{
    attack_begin();
    CHECK_ERRNO(syscall(SYS_pkey_alloc, 1, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_pkey_free, 1), EINVAL);
    CHECK_ERRNO(syscall(SYS_pkey_free, 2), EINVAL);
    page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    *page = 'a';
    CHECK_ERRNO(syscall(SYS_pkey_mprotect, page, 4096, PROT_READ | PROT_WRITE, 1), EINVAL);
    CHECK_ERRNO(syscall(SYS_pkey_mprotect, page, 4096, PROT_READ | PROT_WRITE, 7), EINVAL);
    key = (int)syscall(SYS_pkey_alloc, 0, 0);
    CHECK(key >= 3);
    CHECK_EQ(syscall(SYS_pkey_mprotect, page, 4096, PROT_READ | PROT_WRITE, key), 0);
    *page = 'b';
    CHECK_EQ(__eremite_pkey_set(key, 2), 0); /* no writing */
    CHECK_EQ(*page, 'b');
    CHECK_EQ(ATTACK(attack_write((uintptr_t)page)), SIGSEGV);
    CHECK_EQ(attack_code, 4);
    CHECK_EQ(attack_key, key);
    /* The handler began with the rights that all begin with, and did not return by its frame. */
    CHECK_EQ(__eremite_pkey_set(key, 2), 0);
    int ends[2];
    CHECK_EQ(pipe(ends), 0);
    CHECK_EQ(write(ends[1], page, 1), 1);
    CHECK_ERRNO(read(ends[0], page, 1), EFAULT);
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, in_thread, NULL), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(*page, 'c');
    CHECK_EQ(__eremite_pkey_get(key), 2);
    CHECK_EQ(__eremite_pkey_set(key, 1), 0);
    CHECK_ERRNO(write(ends[1], page, 1), EFAULT);
    CHECK_EQ(__eremite_pkey_set(1, 0), -22);
    CHECK_CLOSED(__eremite_kernel_data_start);
    CHECK_EQ(syscall(SYS_pkey_free, key), 0);
    return check_result();
}
