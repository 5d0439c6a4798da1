// 64 threads that map, fault, signal each other, sleep, lock, wait and end at random, in little memory, for a bounded
// time: no hang, no wrong result, and all memory there again afterwards.
// machines: q35
// options: --smp 4 --memory 64M
// oracle: native
// arguments: 30
// cflags: -O2 -pthread
// timeout: 150
#define _GNU_SOURCE
#include "check.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

#define THREADS 64
#define LOCKS 8

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t condition;
    long a, b; // always equal while nobody holds the mutex
} s_locks[LOCKS];

static pthread_t s_threads[THREADS];
static _Atomic int s_alive[THREADS];
static pthread_mutex_t s_alive_lock[THREADS];
static _Atomic long s_signals_sent, s_signals_seen, s_maps, s_no_memory, s_created, s_wrong;
static _Atomic int s_stop;

static uint32_t next(uint32_t* state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

static void on_signal(int number)
{
    (void)number;
    s_signals_seen++;
}

static void use_memory(uint32_t* random)
{
    size_t pages = 1 + next(random) % 32;
    unsigned char* p = mmap(NULL, pages * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) {
        s_no_memory++;
        return;
    }
    s_maps++;
    unsigned char value = (unsigned char)(next(random) | 1);
    for (size_t i = 0; i < pages; ++i) {
        if (p[i * 4096] != 0)
            s_wrong++;
        p[i * 4096 + 8] = value;
    }
    if (next(random) % 2)
        sched_yield();
    if (next(random) % 4 == 0)
        mprotect(p, 4096, PROT_READ);
    for (size_t i = 0; i < pages; ++i) {
        if (p[i * 4096 + 8] != value)
            s_wrong++;
    }
    munmap(p, pages * 4096);
}

static void use_lock(uint32_t* random)
{
    int i = (int)(next(random) % LOCKS);
    pthread_mutex_lock(&s_locks[i].mutex);
    if (s_locks[i].a != s_locks[i].b)
        s_wrong++;
    s_locks[i].a++;
    if (next(random) % 8 == 0)
        sched_yield();
    s_locks[i].b++;
    if (next(random) % 4 == 0)
        pthread_cond_broadcast(&s_locks[i].condition);
    if (next(random) % 16 == 0) {
        struct timespec deadline;
        clock_gettime(CLOCK_REALTIME, &deadline);
        deadline.tv_nsec += 2000000;
        if (deadline.tv_nsec >= 1000000000) {
            deadline.tv_sec++;
            deadline.tv_nsec -= 1000000000;
        }
        pthread_cond_timedwait(&s_locks[i].condition, &s_locks[i].mutex, &deadline);
        if (s_locks[i].a != s_locks[i].b)
            s_wrong++;
    }
    pthread_mutex_unlock(&s_locks[i].mutex);
}

static void signal_somebody(uint32_t* random)
{
    int i = (int)(next(random) % THREADS);
    pthread_mutex_lock(&s_alive_lock[i]);
    if (s_alive[i] && pthread_kill(s_threads[i], SIGUSR1) == 0)
        s_signals_sent++;
    pthread_mutex_unlock(&s_alive_lock[i]);
}

static void compute(uint32_t* random)
{
    double x = 1.0 + next(random) % 100, y = x;
    int n = (int)(next(random) % 20000);
    for (int i = 0; i < n; ++i)
        y = y * 1.5 / 1.5;
    if (y < x * 0.999 || y > x * 1.001)
        s_wrong++;
}

static void* work(void* p)
{
    uint32_t random = (uint32_t)(uintptr_t)p | 1;
    int steps = (int)(next(&random) % 400);
    for (int i = 0; i < steps && !s_stop; ++i) {
        switch (next(&random) % 8) {
        case 0:
        case 1:
            use_memory(&random);
            break;
        case 2:
        case 3:
            use_lock(&random);
            break;
        case 4:
            signal_somebody(&random);
            break;
        case 5:
            usleep(next(&random) % 2000);
            break;
        default:
            compute(&random);
        }
    }
    return NULL;
}

static int start(int i, uint32_t* random)
{
    pthread_mutex_lock(&s_alive_lock[i]);
    int error = pthread_create(&s_threads[i], NULL, work, (void*)(uintptr_t)next(random));
    s_alive[i] = error == 0;
    pthread_mutex_unlock(&s_alive_lock[i]);
    s_created += error == 0;
    return error;
}

static void join(int i)
{
    pthread_mutex_lock(&s_alive_lock[i]);
    int alive = s_alive[i];
    s_alive[i] = 0;
    pthread_mutex_unlock(&s_alive_lock[i]);
    if (alive)
        pthread_join(s_threads[i], NULL);
}

static long free_memory(void)
{
    struct sysinfo info;
    sysinfo(&info);
    return (long)(info.freeram * info.mem_unit / 1024);
}

static void run(int seconds)
{
    uint32_t random = 12345;
    time_t end = time(NULL) + seconds;
    s_stop = 0;
    for (int i = 0; i < THREADS; ++i)
        start(i, &random);
    while (time(NULL) < end) {
        int i = (int)(next(&random) % THREADS);
        join(i);
        start(i, &random);
    }
    s_stop = 1;
    for (int i = 0; i < THREADS; ++i)
        join(i);
}

int main(int argc, char** argv)
{
    int seconds = argc > 1 ? atoi(argv[1]) : 5;
    signal(SIGUSR1, on_signal);
    for (int i = 0; i < LOCKS; ++i) {
        pthread_mutex_init(&s_locks[i].mutex, NULL);
        pthread_cond_init(&s_locks[i].condition, NULL);
    }
    for (int i = 0; i < THREADS; ++i)
        pthread_mutex_init(&s_alive_lock[i], NULL);
    run(1); // what is allocated once and kept is there now
    long before = free_memory();
    run(seconds);
    long after = free_memory();
    printf(
        "%ld threads, %ld mappings, %ld times no memory, %ld signals sent, %ld seen, free before %ld after %ld KiB\n",
        (long)s_created, (long)s_maps, (long)s_no_memory, (long)s_signals_sent, (long)s_signals_seen, before, after);
    CHECK_EQ(s_wrong, 0);
    CHECK(s_created > THREADS);
    CHECK(s_signals_seen > 0 && s_signals_seen <= s_signals_sent);
#if ON_EREMITE
    CHECK(before - after < 256); // caches of the allocators
#endif
    for (int i = 0; i < LOCKS; ++i)
        CHECK_EQ(s_locks[i].a, s_locks[i].b);
    return check_result();
}
