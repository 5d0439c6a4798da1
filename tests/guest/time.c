// Clocks, sleeping, POSIX timers, timerfd, processor time.
// machines: q35 microvm virt
// oracle: native
// cflags: -O2 -pthread
#define _GNU_SOURCE
#include "check.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/times.h>
#include <time.h>
#include <unistd.h>

static int64_t now(clockid_t clock)
{
    struct timespec t;
    if (clock_gettime(clock, &t))
        return -1;
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static struct timespec to_timespec(int64_t n)
{
    return (struct timespec) { n / 1000000000, n % 1000000000 };
}

static volatile int s_fired;
static volatile int s_value;

static void fired(int number, siginfo_t* info, void* context)
{
    (void)number;
    (void)context;
    s_fired++;
    s_value = info->si_value.sival_int;
}

static void* burn(void* p)
{
    int64_t until = now(CLOCK_THREAD_CPUTIME_ID) + 20000000;
    while (now(CLOCK_THREAD_CPUTIME_ID) < until)
        ;
    return p;
}

static atomic_int s_stop;

static void* burn_until_told(void* p)
{
    while (!atomic_load(&s_stop))
        ;
    return p;
}

static pthread_mutex_t s_mutex = PTHREAD_MUTEX_INITIALIZER;
static int s_called;

static void notified(union sigval value)
{
    pthread_mutex_lock(&s_mutex);
    s_called += value.sival_int;
    pthread_mutex_unlock(&s_mutex);
}

static void test_clocks(void)
{
    clockid_t clocks[] = { CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE,
        CLOCK_MONOTONIC_COARSE, CLOCK_BOOTTIME, CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID };
    struct timespec t;
    for (unsigned i = 0; i < sizeof clocks / sizeof *clocks; ++i) {
        int64_t a = now(clocks[i]), b = now(clocks[i]);
        CHECK(a >= 0 && b >= a);
        CHECK_EQ(clock_getres(clocks[i], &t), 0);
    }
    CHECK_ERRNO(clock_gettime(77, &t), EINVAL);
    CHECK(now(CLOCK_REALTIME) > 1600000000LL * 1000000000);
    struct timeval tv;
    CHECK_EQ(gettimeofday(&tv, NULL), 0);
    int64_t difference = now(CLOCK_REALTIME) / 1000 - (tv.tv_sec * 1000000LL + tv.tv_usec);
    CHECK(difference >= 0 && difference < 1000000);
    CHECK(labs(time(NULL) - tv.tv_sec) <= 1);
    struct tms tms;
    CHECK(times(&tms) != (clock_t)-1);
}

static void test_sleep(void)
{
    int64_t start = now(CLOCK_MONOTONIC);
    struct timespec t = { 0, 20000000 };
    CHECK_EQ(nanosleep(&t, NULL), 0);
    CHECK(now(CLOCK_MONOTONIC) - start >= 20000000);
    t = to_timespec(now(CLOCK_REALTIME) + 15000000);
    CHECK_EQ(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &t, NULL), 0);
    t = to_timespec(now(CLOCK_MONOTONIC) + 15000000);
    CHECK_EQ(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL), 0);
    CHECK(now(CLOCK_MONOTONIC) - start >= 50000000);
    t = (struct timespec) { 0, 1000000000 };
    CHECK_ERRNO(nanosleep(&t, NULL), EINVAL);
    t = (struct timespec) { 1, 0 };
    CHECK_EQ(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &t, NULL), EINVAL);
    t = (struct timespec) { 0, 0 };
    CHECK_EQ(nanosleep(&t, NULL), 0);

    // On processor time, which another thread uses up.
    pthread_t thread;
    clockid_t clock;
    CHECK_EQ(pthread_create(&thread, NULL, burn_until_told, NULL), 0);
    CHECK_EQ(pthread_getcpuclockid(thread, &clock), 0);
    start = now(CLOCK_PROCESS_CPUTIME_ID);
    t = to_timespec(5000000);
    CHECK_EQ(clock_nanosleep(CLOCK_PROCESS_CPUTIME_ID, 0, &t, NULL), 0);
    CHECK(now(CLOCK_PROCESS_CPUTIME_ID) - start >= 5000000);
    t = to_timespec(start + 10000000);
    CHECK_EQ(clock_nanosleep(CLOCK_PROCESS_CPUTIME_ID, TIMER_ABSTIME, &t, NULL), 0);
    CHECK(now(CLOCK_PROCESS_CPUTIME_ID) - start >= 10000000);
    t = to_timespec(10000000);
    CHECK_EQ(clock_nanosleep(clock, TIMER_ABSTIME, &t, NULL), 0);
    CHECK(now(clock) >= 10000000);
    atomic_store(&s_stop, 1);
    pthread_join(thread, NULL);
}

static void test_timers(void)
{
    struct sigaction action = { .sa_sigaction = fired, .sa_flags = SA_SIGINFO };
    sigaction(SIGUSR1, &action, NULL);
    struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value = { .sival_int = 9 } };
    timer_t timer;
    CHECK_EQ(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
    struct itimerspec spec = { .it_value = { 0, 10000000 }, .it_interval = { 0, 10000000 } }, old;
    CHECK_EQ(timer_settime(timer, 0, &spec, NULL), 0);
    for (int i = 0; i < 200 && s_fired < 3; ++i)
        usleep(5000);
    CHECK(s_fired >= 3);
    CHECK_EQ(s_value, 9);
    CHECK_EQ(timer_gettime(timer, &old), 0);
    CHECK_EQ(old.it_interval.tv_nsec, 10000000);
    CHECK(old.it_value.tv_nsec > 0 && old.it_value.tv_nsec <= 10000000);
    CHECK(timer_getoverrun(timer) >= 0);

    // While the signal is blocked the expirations are counted.
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    usleep(100000);
    siginfo_t info;
    CHECK_EQ(sigwaitinfo(&set, &info), SIGUSR1);
    CHECK_EQ(info.si_code, SI_TIMER);
    CHECK(info.si_overrun >= 2);
    CHECK_EQ(timer_delete(timer), 0);
    sigprocmask(SIG_UNBLOCK, &set, NULL);

    event = (struct sigevent) { .sigev_notify = SIGEV_THREAD, .sigev_value = { .sival_int = 5 } };
    event.sigev_notify_function = notified;
    CHECK_EQ(timer_create(CLOCK_REALTIME, &event, &timer), 0);
    spec = (struct itimerspec) { .it_value = { 0, 5000000 } };
    CHECK_EQ(timer_settime(timer, 0, &spec, NULL), 0);
    for (int i = 0; i < 200; ++i) {
        pthread_mutex_lock(&s_mutex);
        int called = s_called;
        pthread_mutex_unlock(&s_mutex);
        if (called)
            break;
        usleep(5000);
    }
    CHECK_EQ(s_called, 5);
    CHECK_EQ(timer_delete(timer), 0);
}

static void test_timerfd(void)
{
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    CHECK(fd >= 0);
    struct itimerspec spec = { .it_value = { 0, 10000000 }, .it_interval = { 0, 5000000 } }, old;
    CHECK_EQ(timerfd_settime(fd, 0, &spec, NULL), 0);
    uint64_t count = 0;
    CHECK_EQ(read(fd, &count, sizeof count), 8);
    CHECK(count >= 1);
    usleep(30000);
    CHECK_EQ(read(fd, &count, sizeof count), 8);
    CHECK(count >= 3);
    CHECK_ERRNO(read(fd, &count, 4), EINVAL);
    struct pollfd poller = { .fd = fd, .events = POLLIN };
    CHECK_EQ(poll(&poller, 1, 1000), 1);
    CHECK_EQ(timerfd_gettime(fd, &old), 0);
    CHECK_EQ(old.it_interval.tv_nsec, 5000000);
    spec = (struct itimerspec) { 0 };
    CHECK_EQ(timerfd_settime(fd, 0, &spec, &old), 0);
    CHECK_EQ(poll(&poller, 1, 20), 0);
    close(fd);
    fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK);
    CHECK_ERRNO(read(fd, &count, sizeof count), EAGAIN);
    spec.it_value = to_timespec(now(CLOCK_REALTIME) + 10000000);
    CHECK_EQ(timerfd_settime(fd, TFD_TIMER_ABSTIME, &spec, NULL), 0);
    CHECK_EQ(poll(&(struct pollfd) { .fd = fd, .events = POLLIN }, 1, 1000), 1);
    CHECK_EQ(read(fd, &count, sizeof count), 8);
    CHECK_EQ(count, 1);
    close(fd);
    CHECK_ERRNO(timerfd_create(77, 0), EINVAL);
}

static void test_processor_time(void)
{
    pthread_t thread;
    int64_t process = now(CLOCK_PROCESS_CPUTIME_ID), own = now(CLOCK_THREAD_CPUTIME_ID);
    pthread_create(&thread, NULL, burn, NULL);
    pthread_join(thread, NULL);
    CHECK(now(CLOCK_PROCESS_CPUTIME_ID) - process >= 20000000);
    CHECK(now(CLOCK_THREAD_CPUTIME_ID) - own < 20000000);
    clockid_t clock;
    CHECK_EQ(pthread_getcpuclockid(pthread_self(), &clock), 0);
    CHECK(now(clock) >= own);
    struct rusage usage;
    CHECK_EQ(getrusage(RUSAGE_SELF, &usage), 0);
    CHECK(usage.ru_utime.tv_sec > 0 || usage.ru_utime.tv_usec > 0 || usage.ru_stime.tv_usec > 0);

    // A timer that counts the process's time only.
    s_fired = 0;
    struct sigaction action = { .sa_sigaction = fired, .sa_flags = SA_SIGINFO };
    sigaction(SIGPROF, &action, NULL);
    struct itimerval timer = { .it_value = { 0, 30000 } };
    CHECK_EQ(setitimer(ITIMER_PROF, &timer, NULL), 0);
    usleep(60000);
    CHECK_EQ(s_fired, 0);
    int64_t until = now(CLOCK_MONOTONIC) + 5000000000LL;
    while (!s_fired && now(CLOCK_MONOTONIC) < until)
        ;
    CHECK_EQ(s_fired, 1);
}

int main(void)
{
    test_clocks();
    test_sleep();
    test_timers();
    test_timerfd();
    test_processor_time();
    return check_result();
}
