/* What the kernel's core costs, per operation. Portable POSIX C: the same program runs on Eremite and in the Linux
 * guest. Each case runs N times between MARK(2k+32) and MARK(2k+33), for the instruction counter; it also prints wall
 * time. */
#define _GNU_SOURCE
#include "mark.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
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

static int s_zero;
static int s_ping[2], s_pong[2];
static pthread_mutex_t s_mutex = PTHREAD_MUTEX_INITIALIZER;
static _Atomic int s_word;
static _Atomic int s_stop;
static volatile sig_atomic_t s_signals;

static void* nothing(void* p)
{
    return p;
}

static void on_signal(int number)
{
    (void)number;
    s_signals++;
}

static long futex(_Atomic int* word, int operation, int value)
{
    return syscall(SYS_futex, word, operation | FUTEX_PRIVATE_FLAG, value, NULL, NULL, 0);
}

static void* pipe_echo(void* p)
{
    char c;
    while (read(s_ping[0], &c, 1) == 1)
        if (write(s_pong[1], &c, 1) != 1)
            break;
    return p;
}

/* Waits for an odd word, makes it even. */
static void* futex_echo(void* p)
{
    for (;;) {
        int value = atomic_load(&s_word);
        if (value < 0)
            return p;
        if (value & 1) {
            atomic_store(&s_word, value + 1);
            futex(&s_word, FUTEX_WAKE, 1);
        } else
            futex(&s_word, FUTEX_WAIT, value);
    }
}

static void* contend(void* p)
{
    while (!atomic_load(&s_stop)) {
        pthread_mutex_lock(&s_mutex);
        pthread_mutex_unlock(&s_mutex);
        sched_yield();
    }
    return p;
}

#define CASE(k, name, count, body)                                                                                     \
    do {                                                                                                               \
        long n_ = (count) / scale;                                                                                     \
        if (n_ < 1)                                                                                                    \
            n_ = 1;                                                                                                    \
        for (long i_ = 0; i_ < 16; i_++) {                                                                             \
            body;                                                                                                      \
        }                                                                                                              \
        double t0_ = now();                                                                                            \
        MARK(2 * (k) + 32);                                                                                            \
        for (long i_ = 0; i_ < n_; i_++) {                                                                             \
            body;                                                                                                      \
        }                                                                                                              \
        MARK(2 * (k) + 33);                                                                                            \
        double t1_ = now();                                                                                            \
        printf("case %d %s %ld %.1f\n", (k), (name), n_, (t1_ - t0_) / (double)n_);                                    \
        fflush(stdout);                                                                                                \
    } while (0)

int main(int argc, char** argv)
{
    long scale = argc > 1 ? atol(argv[1]) : 1;
    char c = 0;
    struct timespec ts;
    pthread_t thread;
    if (scale < 1)
        scale = 1;
    s_zero = open("/dev/zero", O_RDWR);
    if (s_zero < 0)
        fail("/dev/zero");

    CASE(0, "empty_loop", 10000, __asm__ volatile("" :: : "memory"));
    CASE(1, "getppid", 10000, getppid());
    CASE(2, "clock_gettime", 10000, clock_gettime(CLOCK_MONOTONIC, &ts));
    CASE(3, "read_1_byte", 10000, if (read(s_zero, &c, 1) != 1) fail("read"));
    CASE(4, "write_1_byte", 10000, if (write(s_zero, &c, 1) != 1) fail("write"));

    if (pipe(s_ping) || pipe(s_pong) || pthread_create(&thread, NULL, pipe_echo, NULL))
        fail("pipe");
    CASE(5, "pipe_ping_pong", 1000, if (write(s_ping[1], &c, 1) != 1 || read(s_pong[0], &c, 1) != 1) fail("pipe"));
    close(s_ping[1]);
    pthread_join(thread, NULL);

    if (pthread_create(&thread, NULL, futex_echo, NULL))
        fail("pthread_create");
    CASE(6, "futex_ping_pong", 1000, {
        int value = atomic_load(&s_word) + 1;
        atomic_store(&s_word, value);
        futex(&s_word, FUTEX_WAKE, 1);
        while (atomic_load(&s_word) == value)
            futex(&s_word, FUTEX_WAIT, value);
    });
    atomic_store(&s_word, -1);
    futex(&s_word, FUTEX_WAKE, 1);
    pthread_join(thread, NULL);
    CASE(7, "futex_wake_nobody", 10000, futex(&s_word, FUTEX_WAKE, 1));

    CASE(8, "mutex_uncontended", 10000, {
        pthread_mutex_lock(&s_mutex);
        pthread_mutex_unlock(&s_mutex);
    });
    if (pthread_create(&thread, NULL, contend, NULL))
        fail("pthread_create");
    CASE(9, "mutex_contended", 1000, {
        pthread_mutex_lock(&s_mutex);
        sched_yield();
        pthread_mutex_unlock(&s_mutex);
    });
    atomic_store(&s_stop, 1);
    pthread_join(thread, NULL);

    CASE(10, "thread_create_join", 200, {
        if (pthread_create(&thread, NULL, nothing, NULL))
            fail("pthread_create");
        pthread_join(thread, NULL);
    });
    CASE(11, "mmap_touch_unmap_4k", 1000, {
        volatile char* p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED)
            fail("mmap");
        p[0] = 1;
        munmap((void*)p, 4096);
    });
    CASE(12, "mmap_touch_unmap_4m", 50, {
        size_t size = 4 << 20;
        volatile char* p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED)
            fail("mmap");
        for (size_t i = 0; i < size; i += 4096)
            p[i] = 1;
        munmap((void*)p, size);
    });
    {
        /* One fault per iteration: pages of one big mapping, kept apart from large pages by MADV_NOHUGEPAGE. */
        size_t pages = 1024 + 16, next = 0;
        volatile char* p = mmap(NULL, pages * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED)
            fail("mmap");
        madvise((void*)p, pages * 4096, MADV_NOHUGEPAGE);
        CASE(13, "page_fault", 1000, p[4096 * next++] = 1);
        munmap((void*)p, pages * 4096);
    }
    signal(SIGUSR1, on_signal);
    CASE(14, "signal_delivery", 1000, raise(SIGUSR1));
    CASE(15, "sched_yield", 10000, sched_yield());
    printf("done %d\n", (int)s_signals);
    return 0;
}
