// Cancellation: at a system call, asynchronous, by test, in a wait, and while it is disabled.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CHECK(condition) ((condition) ? (void)0 : (printf("%s:%d: %s\n", __FILE__, __LINE__, #condition), abort()))

static int pipe_ends[2];
static volatile int cleaned;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;

static void clean(void* unused)
{
    (void)unused;
    cleaned++;
}

static void* blocked_in_read(void* unused)
{
    char byte;
    pthread_cleanup_push(clean, NULL);
    for (;;)
        read(pipe_ends[0], &byte, 1);
    pthread_cleanup_pop(0);
    return unused;
}

static void* spinning(void* unused)
{
    pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
    pthread_cleanup_push(clean, NULL);
    for (volatile int i = 0;; i++) { }
    pthread_cleanup_pop(0);
    return unused;
}

static void* testing(void* unused)
{
    pthread_cleanup_push(clean, NULL);
    for (;;)
        pthread_testcancel();
    pthread_cleanup_pop(0);
    return unused;
}

static void unlock(void* unused)
{
    clean(unused);
    pthread_mutex_unlock(&mutex);
}

static void* in_condition(void* unused)
{
    pthread_mutex_lock(&mutex);
    pthread_cleanup_push(unlock, NULL);
    for (;;)
        pthread_cond_wait(&condition, &mutex);
    pthread_cleanup_pop(0);
    return unused;
}

static void* disabled(void* unused)
{
    char byte = 0;
    pthread_cleanup_push(clean, NULL);
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    CHECK(read(pipe_ends[0], &byte, 1) == 1 && byte == 'x');
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
    pthread_testcancel();
    pthread_cleanup_pop(0);
    return unused;
}

static void nothing(int signal)
{
    (void)signal;
}

int main(void)
{
    void* (*const bodies[])(void*) = { blocked_in_read, spinning, testing, in_condition, disabled };
    // The kernel ends a blocking call with EINTR for a cancellation; Linux, which stands in for it here, restarts it,
    // so a second signal does this.
    const struct sigaction action = { .sa_handler = nothing };
    sigaction(SIGUSR2, &action, NULL);
    CHECK(pipe(pipe_ends) == 0);
    for (int i = 0; i < 5; i++) {
        pthread_t thread;
        void* result;
        cleaned = 0;
        CHECK(pthread_create(&thread, NULL, bodies[i], NULL) == 0);
        usleep(20000);
        CHECK(pthread_cancel(thread) == 0);
        usleep(20000);
        if (i == 0 || i == 3)
            pthread_kill(thread, SIGUSR2);
        if (i == 4)
            CHECK(write(pipe_ends[1], "x", 1) == 1);
        CHECK(pthread_join(thread, &result) == 0);
        CHECK(result == PTHREAD_CANCELED);
        CHECK(cleaned == 1);
    }
    return 0;
}
