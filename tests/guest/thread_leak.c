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
    // What the first ones leave in caches is no leak.
    enum { warm_up = 400 };
    run(warm_up);
    settle(warm_up);
    unsigned long long before = free_bytes();
    run(count);
    settle(count + warm_up);
    unsigned long long after = free_bytes();
    CHECK_EQ(s_ran, count + warm_up);
    printf("free before %llu KiB, after %llu KiB\n", before / 1024, after / 1024);
#if ON_EREMITE
    CHECK_EQ(after, before);
#endif
    return check_result();
}
