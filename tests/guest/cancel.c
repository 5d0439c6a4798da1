// Cancellation, robust mutexes, and the ends of threads that aren't their own.
// machines: q35 virt
// options: --smp 2
// oracle: native
// cflags: -O2 -pthread
#define _GNU_SOURCE
#include "check.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int s_pipe[2];
static volatile int s_cleaned, s_ready;
static pthread_mutex_t s_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t s_condition = PTHREAD_COND_INITIALIZER;

static void clean(void* p)
{
    (void)p;
    s_cleaned++;
}

static void* blocked_in_read(void* p)
{
    char c;
    pthread_cleanup_push(clean, NULL);
    s_ready = 1;
    read(s_pipe[0], &c, 1);
    pthread_cleanup_pop(0);
    return p;
}

static void* blocked_in_condition(void* p)
{
    pthread_mutex_lock(&s_mutex);
    pthread_cleanup_push((void (*)(void*))pthread_mutex_unlock, &s_mutex);
    s_ready = 1;
    while (1)
        pthread_cond_wait(&s_condition, &s_mutex);
    pthread_cleanup_pop(0);
    return p;
}

static void* computing(void* p)
{
    pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
    s_ready = 1;
    for (volatile long i = 0;; ++i)
        ;
    return p;
}

static void* refusing(void* p)
{
    struct timespec pause = { 0, 50000000 };
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    s_ready = 1;
    CHECK_EQ(nanosleep(&pause, NULL), 0);
    CHECK_EQ(nanosleep(&pause, NULL), 0);
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
    pthread_testcancel();
    CHECK(0);
    return p;
}

static void cancel(void* (*function)(void*), int wait)
{
    pthread_t thread;
    void* result = NULL;
    s_ready = 0;
    CHECK_EQ(pthread_create(&thread, NULL, function, NULL), 0);
    while (!s_ready)
        sched_yield();
    if (wait)
        usleep(10000);
    CHECK_EQ(pthread_cancel(thread), 0);
    CHECK_EQ(pthread_join(thread, &result), 0);
    CHECK(result == PTHREAD_CANCELED);
}

static pthread_mutex_t s_robust;

static void* die_holding(void* p)
{
    pthread_mutex_lock(&s_robust);
    return p;
}

int main(void)
{
    CHECK_EQ(pipe(s_pipe), 0);
    for (int wait = 0; wait < 2; ++wait) {
        for (int i = 0; i < 20; ++i) {
            cancel(blocked_in_read, wait);
            cancel(blocked_in_condition, wait);
        }
        cancel(computing, wait);
        cancel(refusing, wait);
    }
    CHECK_EQ(s_cleaned, 40);
    CHECK_EQ(pthread_mutex_lock(&s_mutex), 0); // let go by the clean-up
    pthread_mutex_unlock(&s_mutex);

    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&s_robust, &attributes);
    pthread_t thread;
    pthread_create(&thread, NULL, die_holding, NULL);
    pthread_join(thread, NULL);
    CHECK_EQ(pthread_mutex_lock(&s_robust), EOWNERDEAD);
    CHECK_EQ(pthread_mutex_consistent(&s_robust), 0);
    CHECK_EQ(pthread_mutex_unlock(&s_robust), 0);
    CHECK_EQ(pthread_mutex_lock(&s_robust), 0);
    pthread_mutex_unlock(&s_robust);
    return check_result();
}
