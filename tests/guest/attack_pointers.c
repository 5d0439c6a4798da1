// Pointers into the kernel's memory are EFAULT in every call: directly, in arrays and in structures, and while another
// thread exchanges them for good ones and back.
// arch: x86_64
// isolation: stack mpk
#define _GNU_SOURCE
#include "attack.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static char good[4096];
static struct iovec vector[2];
static volatile int stop;

static void* exchange(void* bad)
{
    while (!stop) {
        *(void* volatile*)&vector[1].iov_base = bad;
        *(void* volatile*)&vector[1].iov_base = good;
    }
    return NULL;
}

int main(void)
{
    int ends[2];
    CHECK_EQ(pipe2(ends, O_NONBLOCK), 0);
    CHECK_EQ(write(ends[1], "abcdefgh", 8), 8);
    void* bad[] = { __eremite_kernel_data_start, __eremite_kernel_text_start, (void*)DIRECT_MAP,
        (void*)0xffffffff80000000u, __eremite_boot_stack + 8192 };
    int queue = epoll_create1(0);
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        void* kernel = bad[i];
        struct iovec one = { kernel, 8 };
        CHECK_ERRNO(read(ends[0], kernel, 8), EFAULT);
        CHECK_ERRNO(write(ends[1], kernel, 8), EFAULT);
        CHECK_ERRNO(readv(ends[0], &one, 1), EFAULT);
        CHECK_ERRNO(writev(ends[1], &one, 1), EFAULT);
        CHECK_ERRNO(writev(ends[1], kernel, 1), EFAULT);
        CHECK_ERRNO(ioctl(ends[0], FIONREAD, kernel), EFAULT);
        CHECK_ERRNO(epoll_ctl(queue, EPOLL_CTL_ADD, ends[0], kernel), EFAULT);
        CHECK_ERRNO(poll(kernel, 1, 0), EFAULT);
        CHECK_ERRNO(syscall(SYS_futex, kernel, FUTEX_WAKE_OP, 1, 1, kernel, 0), EFAULT);
        CHECK_ERRNO(syscall(SYS_futex, kernel, FUTEX_WAIT, 0, NULL, NULL, 0), EFAULT);
        CHECK_ERRNO(syscall(SYS_sigaltstack, kernel, NULL), EFAULT);
        CHECK_ERRNO(syscall(SYS_set_robust_list, kernel, 8), EINVAL);
        CHECK_ERRNO(syscall(SYS_rt_sigaction, SIGUSR1, kernel, NULL, 8), EFAULT);
        CHECK_ERRNO(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, kernel), EFAULT);
        CHECK_ERRNO(open(kernel, O_RDONLY), EFAULT);
    }
    /* Double fetch: what arrives is never the kernel's. */
    memset(good, 'g', sizeof good);
    pthread_t thread;
    vector[0] = (struct iovec) { good, 1 };
    vector[1] = (struct iovec) { good, 64 };
    char buffer[65];
    while (read(ends[0], buffer, sizeof buffer) > 0) { }
    CHECK_EQ(pthread_create(&thread, NULL, exchange, __eremite_kernel_data_start), 0);
    for (int i = 0; i < 3000; i++) {
        ssize_t written = writev(ends[1], vector, 2);
        CHECK(written == 65 || written == 1 || (written == -1 && errno == EFAULT));
        ssize_t length = read(ends[0], buffer, sizeof buffer);
        for (ssize_t k = 0; k < length; k++)
            CHECK(buffer[k] == 'g');
    }
    stop = 1;
    pthread_join(thread, NULL);
    return check_result();
}
