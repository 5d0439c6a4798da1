// pthreads: creation, join, detach, mutexes, condition variables, thread-specific data, names, many in turn.
// machines: q35 microvm virt
// options: --smp 2
// oracle: native
// cflags: -O2 -pthread
#define _GNU_SOURCE
#include "check.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void* echo(void* p)
{
    return (void*)((uintptr_t)p + 1);
}

static pthread_mutex_t s_mutex = PTHREAD_MUTEX_INITIALIZER;
static long s_counter;

static void* count(void* p)
{
    for (long i = 0; i < (long)p; ++i) {
        pthread_mutex_lock(&s_mutex);
        ++s_counter;
        pthread_mutex_unlock(&s_mutex);
    }
    return NULL;
}

static pthread_cond_t s_condition = PTHREAD_COND_INITIALIZER;
static int s_turn;

static void* ping(void* p)
{
    int mine = (int)(intptr_t)p;
    for (int i = 0; i < 500; ++i) {
        pthread_mutex_lock(&s_mutex);
        while (s_turn != mine)
            pthread_cond_wait(&s_condition, &s_mutex);
        s_turn = !mine;
        pthread_cond_signal(&s_condition);
        pthread_mutex_unlock(&s_mutex);
    }
    return NULL;
}

static pthread_key_t s_key;
static _Atomic int s_destroyed;

static void destroy(void* p)
{
    (void)p;
    s_destroyed++;
}

static void* with_key(void* p)
{
    pthread_setspecific(s_key, p);
    return pthread_getspecific(s_key);
}

static __thread int s_local = 7;

static void* with_local(void* p)
{
    (void)p;
    int before = s_local;
    s_local = 8;
    return (void*)(intptr_t)before;
}

static _Atomic int s_ended;

static void* detached(void* p)
{
    pthread_detach(pthread_self());
    s_ended++;
    return p;
}

static void* many(void* p)
{
    pthread_barrier_wait(p);
    return NULL;
}

int main(void)
{
    pthread_t thread, threads[16];
    void* result;

    CHECK_EQ(pthread_create(&thread, NULL, echo, (void*)41), 0);
    CHECK_EQ(pthread_join(thread, &result), 0);
    CHECK_EQ((intptr_t)result, 42);

    for (int i = 0; i < 4; ++i)
        CHECK_EQ(pthread_create(&threads[i], NULL, count, (void*)5000), 0);
    for (int i = 0; i < 4; ++i)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    CHECK_EQ(s_counter, 20000);

    for (int i = 0; i < 2; ++i)
        CHECK_EQ(pthread_create(&threads[i], NULL, ping, (void*)(intptr_t)i), 0);
    for (int i = 0; i < 2; ++i)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);

    CHECK_EQ(pthread_key_create(&s_key, destroy), 0);
    CHECK_EQ(pthread_create(&thread, NULL, with_key, &s_key), 0);
    CHECK_EQ(pthread_join(thread, &result), 0);
    CHECK(result == &s_key);
    CHECK_EQ(s_destroyed, 1);

    CHECK_EQ(pthread_create(&thread, NULL, with_local, NULL), 0);
    CHECK_EQ(pthread_join(thread, &result), 0);
    CHECK_EQ((intptr_t)result, 7);
    CHECK_EQ(s_local, 7);

    for (int i = 0; i < 20; ++i)
        CHECK_EQ(pthread_create(&thread, NULL, detached, NULL), 0);
    for (int i = 0; i < 1000 && s_ended != 20; ++i)
        usleep(1000);
    CHECK_EQ(s_ended, 20);

    pthread_barrier_t barrier;
    CHECK_EQ(pthread_barrier_init(&barrier, NULL, 17), 0);
    for (int i = 0; i < 16; ++i)
        CHECK_EQ(pthread_create(&threads[i], NULL, many, &barrier), 0);
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < 16; ++i)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);

    char name[16];
    CHECK_EQ(pthread_setname_np(pthread_self(), "a-name"), 0);
    CHECK_EQ(pthread_getname_np(pthread_self(), name, sizeof name), 0);
    CHECK_STR(name, "a-name");

    // A timed wait that nobody ends.
    struct timespec deadline;
    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_nsec += 20000000;
    if (deadline.tv_nsec >= 1000000000) {
        deadline.tv_sec++;
        deadline.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&s_mutex);
    CHECK_EQ(pthread_cond_timedwait(&s_condition, &s_mutex, &deadline), ETIMEDOUT);
    pthread_mutex_unlock(&s_mutex);

    sem_t semaphore;
    CHECK_EQ(sem_init(&semaphore, 0, 1), 0);
    CHECK_EQ(sem_wait(&semaphore), 0);
    CHECK_ERRNO(sem_trywait(&semaphore), EAGAIN);
    CHECK_EQ(sem_post(&semaphore), 0);

    cpu_set_t set;
    CPU_ZERO(&set);
    CHECK_EQ(sched_getaffinity(0, sizeof set, &set), 0);
    CHECK(CPU_COUNT(&set) >= 1);
    CHECK_EQ(sched_setaffinity(0, sizeof set, &set), 0);
    CHECK(sched_getcpu() >= 0);
    CHECK_EQ(sched_yield(), 0);

    // A thread that is created and joined many times leaves nothing behind.
    for (int i = 0; i < 2000; ++i) {
        if (!CHECK_EQ(pthread_create(&thread, NULL, echo, NULL), 0))
            break;
        pthread_join(thread, NULL);
    }
    return check_result();
}
