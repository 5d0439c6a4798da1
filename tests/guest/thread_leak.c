// 100,000 threads, created and joined, or detached: afterwards as many frames are free as before.
// options: --memory 64M
// oracle: native
// arguments: 100000
// cflags: -O2 -pthread
// timeout: 600
#define _GNU_SOURCE
#include "check.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/sysinfo.h>
#include <time.h>

static _Atomic long s_ran;
static __thread char s_local[256];

static void* body(void* argument)
{
    s_local[(long)argument & 255] = 1;
    s_ran++;
    return argument;
}

static unsigned long long free_bytes(void)
{
    struct sysinfo info;
    sysinfo(&info);
    return (unsigned long long)info.freeram * info.mem_unit;
}

static pthread_barrier_t s_all;

static void* wait_for_all(void* argument)
{
    pthread_barrier_wait(&s_all);
    return argument;
}

/// More threads at once than there will be: what they leave in caches (stacks, slabs) is no leak.
static void warm_up(void)
{
    enum { at_once = 64 };
    pthread_t threads[at_once];
    pthread_barrier_init(&s_all, NULL, at_once);
    for (int i = 0; i < at_once; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, wait_for_all, NULL), 0);
    for (int i = 0; i < at_once; i++)
        pthread_join(threads[i], NULL);
}

/// Four at a time, one of them detached.
static void run(long count)
{
    enum { together = 4 };
    pthread_attr_t detached;
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    for (long i = 0; i < count; i += together) {
        pthread_t threads[together];
        for (long k = 0; k < together; k++)
            if (pthread_create(&threads[k], k == 0 ? &detached : NULL, body, (void*)(i + k)) != 0) {
                CHECK(!"pthread_create");
                return;
            }
        for (long k = 1; k < together; k++) {
            void* result = NULL;
            pthread_join(threads[k], &result);
            if (result != (void*)(i + k))
                CHECK_EQ((long)result, i + k);
        }
    }
    pthread_attr_destroy(&detached);
}

/// Waits for the detached ones, which end when they like.
static void settle(long expected)
{
    for (int i = 0; i < 5000 && s_ran < expected; i++)
        nanosleep(&(struct timespec) { .tv_nsec = 1000000 }, NULL);
    nanosleep(&(struct timespec) { .tv_nsec = 50000000 }, NULL);
}

int main(int argc, char** argv)
{
    long count = argc > 1 ? atol(argv[1]) : 1000;
    enum { first = 400 };
    warm_up();
    run(first);
    settle(first);
    unsigned long long before = free_bytes();
    run(count);
    settle(count + first);
    unsigned long long after = free_bytes();
    CHECK_EQ(s_ran, count + first);
    printf("free before %llu KiB, after %llu KiB\n", before / 1024, after / 1024);
#if ON_EREMITE
    CHECK_EQ(after, before);
#endif
    return check_result();
}
