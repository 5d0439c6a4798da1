// What waits by the wall clock while that is set: timers, timerfd and sleeps follow it if they were given a time of
// day, and don't if they were given a span of time. Not run natively: it sets the clock.
// machines: q35 virt
// options: --smp 2
// cflags: -O2 -pthread
#define _GNU_SOURCE
#include "check.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000LL
#ifndef TFD_TIMER_CANCEL_ON_SET
#define TFD_TIMER_CANCEL_ON_SET 2
#endif

static int64_t now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec * SECOND + t.tv_nsec;
}

static struct timespec to_timespec(int64_t n)
{
    return (struct timespec) { n / SECOND, n % SECOND };
}

static void step(int64_t by)
{
    struct timespec t = to_timespec(now(CLOCK_REALTIME) + by);
    CHECK_EQ(clock_settime(CLOCK_REALTIME, &t), 0);
}

static int is_readable(int fd, int milliseconds)
{
    return poll(&(struct pollfd) { .fd = fd, .events = POLLIN }, 1, milliseconds);
}

static int timer_at(int flags, int64_t value, int64_t interval)
{
    int fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK);
    struct itimerspec spec = { .it_value = to_timespec(value), .it_interval = to_timespec(interval) };
    CHECK_EQ(timerfd_settime(fd, flags, &spec, NULL), 0);
    return fd;
}

static void test_timerfd(void)
{
    uint64_t count = 0;
    int fd = timer_at(TFD_TIMER_ABSTIME, now(CLOCK_REALTIME) + 1000 * SECOND, 0);
    CHECK_EQ(is_readable(fd, 20), 0);
    step(1001 * SECOND);
    CHECK_EQ(is_readable(fd, 1000), 1);
    CHECK_EQ(read(fd, &count, sizeof count), 8);
    CHECK_EQ(count, 1);
    close(fd);

    // Those that were jumped over count.
    fd = timer_at(TFD_TIMER_ABSTIME, now(CLOCK_REALTIME) + 100 * SECOND, 10 * SECOND);
    step(135 * SECOND);
    CHECK_EQ(is_readable(fd, 1000), 1);
    CHECK_EQ(read(fd, &count, sizeof count), 8);
    CHECK_EQ(count, 4);
    close(fd);

    // Backward: it takes longer.
    fd = timer_at(TFD_TIMER_ABSTIME, now(CLOCK_REALTIME) + SECOND / 20, 0);
    step(-100 * SECOND);
    CHECK_EQ(is_readable(fd, 200), 0);
    struct itimerspec left;
    CHECK_EQ(timerfd_gettime(fd, &left), 0);
    CHECK(left.it_value.tv_sec >= 98 && left.it_value.tv_sec <= 100);
    step(100 * SECOND);
    CHECK_EQ(is_readable(fd, 1000), 1);
    close(fd);

    // A span of time stays what it is.
    int64_t start = now(CLOCK_MONOTONIC);
    fd = timer_at(0, SECOND / 5, 0);
    step(1000 * SECOND);
    CHECK_EQ(is_readable(fd, 20), 0);
    step(-2000 * SECOND);
    CHECK_EQ(is_readable(fd, 2000), 1);
    CHECK(now(CLOCK_MONOTONIC) - start >= SECOND / 5);
    close(fd);
}

static void test_cancel(void)
{
    uint64_t count;
    int fd = timer_at(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, now(CLOCK_REALTIME) + 1000 * SECOND, 0);
    CHECK_ERRNO(read(fd, &count, sizeof count), EAGAIN);
    step(SECOND);
    CHECK_EQ(is_readable(fd, 1000), 1);
    CHECK_ERRNO(read(fd, &count, sizeof count), ECANCELED);
    CHECK_ERRNO(read(fd, &count, sizeof count), EAGAIN);
    close(fd);
    // Only if it was asked for.
    fd = timer_at(TFD_TIMER_ABSTIME, now(CLOCK_REALTIME) + 1000 * SECOND, 0);
    step(SECOND);
    CHECK_ERRNO(read(fd, &count, sizeof count), EAGAIN);
    close(fd);
}

static void test_timers(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
    timer_t timer;
    CHECK_EQ(timer_create(CLOCK_REALTIME, &event, &timer), 0);
    struct itimerspec spec = { .it_value = to_timespec(now(CLOCK_REALTIME) + 500 * SECOND) };
    struct timespec patience = { 0, 20000000 };
    CHECK_EQ(timer_settime(timer, TIMER_ABSTIME, &spec, NULL), 0);
    CHECK_ERRNO(sigtimedwait(&set, NULL, &patience), EAGAIN);
    step(501 * SECOND);
    patience.tv_sec = 2;
    CHECK_EQ(sigtimedwait(&set, NULL, &patience), SIGUSR1);

    int64_t start = now(CLOCK_MONOTONIC);
    spec.it_value = to_timespec(SECOND / 10);
    CHECK_EQ(timer_settime(timer, 0, &spec, NULL), 0);
    step(1000 * SECOND);
    CHECK_EQ(sigtimedwait(&set, NULL, &patience), SIGUSR1);
    CHECK(now(CLOCK_MONOTONIC) - start >= SECOND / 10);
    CHECK_EQ(timer_delete(timer), 0);
}

static void* sleep_until_then(void* p)
{
    CHECK_EQ(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, p, NULL), 0);
    return NULL;
}

static void test_sleep(void)
{
    pthread_t thread;
    struct timespec then = to_timespec(now(CLOCK_REALTIME) + 300 * SECOND);
    CHECK_EQ(pthread_create(&thread, NULL, sleep_until_then, &then), 0);
    usleep(20000);
    step(301 * SECOND);
    pthread_join(thread, NULL); // or the time limit tells
}

int main(void)
{
    test_timerfd();
    test_cancel();
    test_timers();
    test_sleep();
    CHECK_ERRNO(clock_settime(CLOCK_MONOTONIC, &(struct timespec) { 1, 0 }), EINVAL);
    return check_result();
}
