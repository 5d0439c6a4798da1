// Signals in the process: handlers, masks, siginfo, faults, alternate stacks, restarts, waiting.
// machines: q35 microvm virt
// options: --smp 2
// oracle: native
// cflags: -O2 -pthread
#define _GNU_SOURCE
#include "check.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/time.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

static volatile sig_atomic_t s_count, s_last;
static siginfo_t s_info;
static void* volatile s_stack;

static void simple(int number)
{
    s_count++;
    s_last = number;
}

static void detailed(int number, siginfo_t* info, void* context)
{
    (void)context;
    s_count++;
    s_last = number;
    s_info = *info;
    s_stack = __builtin_frame_address(0);
}

static void set(int number, void (*handler)(int, siginfo_t*, void*), int flags)
{
    struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags };
    sigemptyset(&action.sa_mask);
    CHECK_EQ(sigaction(number, &action, NULL), 0);
}

static void test_basics(void)
{
    CHECK(signal(SIGUSR1, simple) != SIG_ERR);
    s_count = 0;
    CHECK_EQ(raise(SIGUSR1), 0);
    CHECK_EQ(s_count, 1);
    CHECK_EQ(s_last, SIGUSR1);
    CHECK_EQ(kill(getpid(), SIGUSR1), 0);
    CHECK_EQ(s_count, 2);
    CHECK_ERRNO(kill(getpid(), 65), EINVAL);
    CHECK_EQ(kill(getpid(), 0), 0);
    CHECK_ERRNO(sigaction(SIGKILL, &(struct sigaction) { .sa_handler = simple }, NULL), EINVAL);

    set(SIGUSR2, detailed, 0);
    union sigval value = { .sival_int = 77 };
    CHECK_EQ(sigqueue(getpid(), SIGUSR2, value), 0);
    CHECK_EQ(s_info.si_code, SI_QUEUE);
    CHECK_EQ(s_info.si_value.sival_int, 77);
    CHECK_EQ(s_info.si_pid, getpid());

    set(SIGUSR2, detailed, SA_RESETHAND);
    raise(SIGUSR2);
    struct sigaction now;
    sigaction(SIGUSR2, NULL, &now);
    CHECK(now.sa_handler == SIG_DFL);
    signal(SIGUSR2, SIG_IGN);
    s_count = 0;
    raise(SIGUSR2);
    CHECK_EQ(s_count, 0);
}

static void test_mask(void)
{
    sigset_t one, old, pending;
    sigemptyset(&one);
    sigaddset(&one, SIGUSR1);
    signal(SIGUSR1, simple);
    s_count = 0;
    CHECK_EQ(sigprocmask(SIG_BLOCK, &one, &old), 0);
    raise(SIGUSR1);
    raise(SIGUSR1);
    CHECK_EQ(s_count, 0);
    sigpending(&pending);
    CHECK(sigismember(&pending, SIGUSR1));
    CHECK_EQ(sigprocmask(SIG_SETMASK, &old, NULL), 0);
    CHECK_EQ(s_count, 1);

    // Real-time signals queue, in order of their number.
    int low = SIGRTMIN, high = SIGRTMIN + 1;
    set(low, detailed, 0);
    set(high, detailed, 0);
    sigset_t both;
    sigemptyset(&both);
    sigaddset(&both, low);
    sigaddset(&both, high);
    sigprocmask(SIG_BLOCK, &both, &old);
    s_count = 0;
    for (int i = 0; i < 3; ++i) {
        sigqueue(getpid(), high, (union sigval) { .sival_int = i });
        sigqueue(getpid(), low, (union sigval) { .sival_int = i });
    }
    siginfo_t info;
    for (int i = 0; i < 3; ++i) {
        CHECK_EQ(sigwaitinfo(&both, &info), low);
        CHECK_EQ(info.si_value.sival_int, i);
    }
    struct timespec none = { 0, 0 };
    CHECK_EQ(sigtimedwait(&both, &info, &none), high);
    CHECK_EQ(info.si_value.sival_int, 0);
    sigprocmask(SIG_SETMASK, &old, NULL);
    CHECK_EQ(s_count, 2);
    CHECK_EQ(s_info.si_value.sival_int >= 1, 1);
    sigprocmask(SIG_BLOCK, &both, &old);
    CHECK_ERRNO(sigtimedwait(&both, &info, &none), EAGAIN);
    sigprocmask(SIG_SETMASK, &old, NULL);
}

static sigjmp_buf s_jump;
static void* volatile s_address;

static void jump_out(int number, siginfo_t* info, void* context)
{
    (void)context;
    s_info = *info;
    s_stack = __builtin_frame_address(0);
    siglongjmp(s_jump, number);
}

static char* s_page;

static void make_writable(int number, siginfo_t* info, void* context)
{
    (void)number;
    (void)context;
    s_info = *info;
    mprotect(s_page, 4096, PROT_READ | PROT_WRITE);
}

__attribute__((noinline)) static int divide(volatile int* a, volatile int* b)
{
    return *a / *b;
}

static void skip_instruction(int number, siginfo_t* info, void* context)
{
    (void)number;
    s_info = *info;
    ucontext_t* uc = context;
#if defined(__x86_64__)
    uc->uc_mcontext.gregs[REG_RIP] += 2; // ud2
    uc->uc_mcontext.gregs[REG_RAX] = 42;
#else
    uc->uc_mcontext.pc += 4;
    uc->uc_mcontext.regs[0] = 42;
#endif
}

static void test_faults(void)
{
    set(SIGSEGV, jump_out, SA_NODEFER);
    int number = sigsetjmp(s_jump, 1);
    if (number == 0) {
        *(volatile int*)16 = 1;
        CHECK(0);
    }
    CHECK_EQ(number, SIGSEGV);
    CHECK_EQ(s_info.si_code, SEGV_MAPERR);
    CHECK_EQ((uintptr_t)s_info.si_addr, 16);

    s_page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    set(SIGSEGV, make_writable, 0);
    s_page[5] = 7; // the handler makes it writable; the instruction runs again
    CHECK_EQ(s_page[5], 7);
    CHECK_EQ(s_info.si_code, SEGV_ACCERR);
    CHECK(s_info.si_addr == s_page + 5);

    long result = 0;
    set(SIGILL, skip_instruction, 0);
#if defined(__x86_64__)
    __asm__ volatile("xor %%eax, %%eax; ud2" : "=a"(result) : : "memory");
    set(SIGFPE, jump_out, 0);
    if (sigsetjmp(s_jump, 1) == 0) {
        volatile int zero = 0, hundred = 100;
        CHECK(divide(&hundred, &zero) == 12345);
    }
    CHECK_EQ(s_info.si_signo, SIGFPE);
    CHECK_EQ(s_info.si_code, FPE_INTDIV);
#else
    register long x0 __asm__("x0") = 0;
    __asm__ volatile("udf #0" : "+r"(x0) : : "memory");
    result = x0;
    (void)divide;
#endif
    CHECK_EQ(result, 42);

    // On an alternate stack, from a stack that is used up.
    size_t size = 64 * 1024;
    char* stack = malloc(size);
    stack_t alternate = { .ss_sp = stack, .ss_size = size }, old;
    CHECK_EQ(sigaltstack(&alternate, NULL), 0);
    CHECK_EQ(sigaltstack(NULL, &old), 0);
    CHECK(old.ss_sp == stack && old.ss_size == size && old.ss_flags == 0);
    set(SIGSEGV, jump_out, SA_ONSTACK);
    if (sigsetjmp(s_jump, 1) == 0)
        *(volatile int*)24 = 1;
    CHECK((char*)s_stack >= stack && (char*)s_stack < stack + size);
    alternate.ss_flags = SS_DISABLE;
    CHECK_EQ(sigaltstack(&alternate, NULL), 0);
    signal(SIGSEGV, SIG_DFL);
    signal(SIGILL, SIG_DFL);
    signal(SIGFPE, SIG_DFL);
}

static int s_pipe[2];
static pthread_t s_main;

static void* interrupt_then_write(void* p)
{
    (void)p;
    usleep(30000);
    pthread_kill(s_main, SIGUSR1);
    usleep(30000);
    CHECK_EQ(write(s_pipe[1], "x", 1), 1);
    return NULL;
}

static void* interrupt(void* p)
{
    usleep(30000);
    pthread_kill(s_main, (int)(intptr_t)p);
    return NULL;
}

static void test_interruption(void)
{
    pthread_t thread;
    char c;
    CHECK_EQ(pipe(s_pipe), 0);
    s_main = pthread_self();

    // Without SA_RESTART: EINTR. With it the read goes on.
    set(SIGUSR1, detailed, 0);
    s_count = 0;
    pthread_create(&thread, NULL, interrupt, (void*)SIGUSR1);
    CHECK_ERRNO(read(s_pipe[0], &c, 1), EINTR);
    CHECK_EQ(s_count, 1);
    pthread_join(thread, NULL);

    set(SIGUSR1, detailed, SA_RESTART);
    pthread_create(&thread, NULL, interrupt_then_write, NULL);
    CHECK_EQ(read(s_pipe[0], &c, 1), 1);
    CHECK_EQ(c, 'x');
    CHECK_EQ(s_count, 2);
    pthread_join(thread, NULL);

    // A sleep is never restarted, and says what is left.
    pthread_create(&thread, NULL, interrupt, (void*)SIGUSR1);
    struct timespec two = { 2, 0 }, left = { 0, 0 };
    CHECK_ERRNO(nanosleep(&two, &left), EINTR);
    CHECK(left.tv_sec == 1 && left.tv_nsec > 500000000);
    pthread_join(thread, NULL);

    // sigsuspend: with its mask while it waits, with the old one afterwards.
    sigset_t block, none, now;
    sigemptyset(&none);
    sigemptyset(&block);
    sigaddset(&block, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &block, NULL);
    pthread_create(&thread, NULL, interrupt, (void*)SIGUSR1);
    s_count = 0;
    CHECK_ERRNO(sigsuspend(&none), EINTR);
    CHECK_EQ(s_count, 1);
    pthread_sigmask(SIG_SETMASK, NULL, &now);
    CHECK(sigismember(&now, SIGUSR1));
    pthread_join(thread, NULL);
    pthread_sigmask(SIG_UNBLOCK, &block, NULL);

    // SIGPIPE.
    set(SIGPIPE, detailed, 0);
    close(s_pipe[0]);
    CHECK_ERRNO(write(s_pipe[1], "x", 1), EPIPE);
    CHECK_EQ(s_last, SIGPIPE);
    close(s_pipe[1]);
}

static void* spin(void* p)
{
    volatile int* stop = p;
    double sum = 0;
    // Vector registers are in use while signals come: none may be lost.
    for (long i = 0; !*stop; ++i)
        sum += (double)(i & 7);
    return sum >= 0 ? NULL : p;
}

static void test_threads(void)
{
    // Signals to a thread that computes.
    volatile int stop = 0;
    pthread_t thread;
    signal(SIGUSR1, simple);
    s_count = 0;
    pthread_create(&thread, NULL, spin, (void*)&stop);
    for (int i = 0; i < 20; ++i) {
        int before = s_count;
        pthread_kill(thread, SIGUSR1);
        for (int wait = 0; wait < 500 && s_count == before; ++wait)
            usleep(1000);
        CHECK_EQ(s_count, before + 1);
    }
    stop = 1;
    void* result;
    pthread_join(thread, &result);
    CHECK(result == NULL);
}

static void test_alarm(void)
{
    set(SIGALRM, detailed, 0);
    s_count = 0;
    struct itimerval timer = { .it_value = { 0, 20000 } }, old;
    CHECK_EQ(setitimer(ITIMER_REAL, &timer, NULL), 0);
    CHECK_ERRNO(pause(), EINTR);
    CHECK_EQ(s_count, 1);
    CHECK_EQ(s_last, SIGALRM);
    CHECK_EQ(alarm(100), 0);
    CHECK_EQ(alarm(0), 100);
    CHECK_EQ(getitimer(ITIMER_REAL, &old), 0);
    CHECK_EQ(old.it_value.tv_sec, 0);
}

static void test_signalfd(void)
{
    sigset_t set, old;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, &old);
    int fd = signalfd(-1, &set, SFD_NONBLOCK);
    CHECK(fd >= 0);
    struct signalfd_siginfo info;
    CHECK_ERRNO(read(fd, &info, sizeof info), EAGAIN);
    struct pollfd poller = { .fd = fd, .events = POLLIN };
    CHECK_EQ(poll(&poller, 1, 0), 0);
    sigqueue(getpid(), SIGUSR2, (union sigval) { .sival_int = 5 });
    CHECK_EQ(poll(&poller, 1, 1000), 1);
    CHECK_EQ(read(fd, &info, sizeof info), (long)sizeof info);
    CHECK_EQ(info.ssi_signo, SIGUSR2);
    CHECK_EQ(info.ssi_int, 5);
    close(fd);
    sigprocmask(SIG_SETMASK, &old, NULL);
}

int main(void)
{
    test_basics();
    test_mask();
    test_faults();
    test_interruption();
    test_threads();
    test_alarm();
    test_signalfd();
    return check_result();
}
