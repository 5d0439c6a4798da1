// Pipes, event counters, poll, select and epoll.
// oracle: native
#define _GNU_SOURCE
#include "check.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <unistd.h>

static int s_pipe[2];

static void* write_later(void* p)
{
    usleep(20000);
    CHECK_EQ(write(s_pipe[1], "x", 1), 1);
    return p;
}

static void test_pipe(void)
{
    int fd[2], n;
    char buffer[70000];
    CHECK_EQ(pipe2(fd, O_NONBLOCK), 0);
    CHECK_ERRNO(read(fd[0], buffer, 1), EAGAIN);
    CHECK_EQ(write(fd[1], "hello", 5), 5);
    CHECK_EQ(ioctl(fd[0], FIONREAD, &n), 0);
    CHECK_EQ(n, 5);
    CHECK_EQ(read(fd[0], buffer, 3), 3);
    CHECK_EQ(read(fd[0], buffer, 10), 2);
    memset(buffer, 'p', sizeof buffer);
    CHECK_EQ(write(fd[1], buffer, sizeof buffer), 65536);
    CHECK_ERRNO(write(fd[1], buffer, 1), EAGAIN);
    CHECK_ERRNO(lseek(fd[0], 0, SEEK_SET), ESPIPE);
    CHECK_ERRNO(write(fd[0], "x", 1), EBADF);
    CHECK_EQ(fcntl(fd[0], F_GETPIPE_SZ), 65536);
    CHECK_EQ(read(fd[0], buffer, sizeof buffer), 65536);
    close(fd[1]);
    CHECK_EQ(read(fd[0], buffer, 1), 0);
    close(fd[0]);
    CHECK_EQ(pipe(fd), 0);
    close(fd[0]);
    signal(SIGPIPE, SIG_IGN);
    CHECK_ERRNO(write(fd[1], "x", 1), EPIPE);
    close(fd[1]);
}

static void test_eventfd(void)
{
    uint64_t value = 5;
    int fd = eventfd(3, EFD_NONBLOCK);
    CHECK_EQ(write(fd, &value, 8), 8);
    CHECK_EQ(read(fd, &value, 8), 8);
    CHECK_EQ(value, 8);
    CHECK_ERRNO(read(fd, &value, 8), EAGAIN);
    CHECK_ERRNO(read(fd, &value, 4), EINVAL);
    close(fd);
    fd = eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK);
    CHECK_EQ(read(fd, &value, 8), 8);
    CHECK_EQ(value, 1);
    CHECK_EQ(read(fd, &value, 8), 8);
    CHECK_ERRNO(read(fd, &value, 8), EAGAIN);
    close(fd);
}

static void test_poll(void)
{
    pthread_t thread;
    CHECK_EQ(pipe(s_pipe), 0);
    struct pollfd p[3] = { { s_pipe[0], POLLIN, 0 }, { s_pipe[1], POLLOUT, 0 }, { -1, POLLIN, 7 } };
    CHECK_EQ(poll(p, 3, 0), 1);
    CHECK_EQ(p[0].revents, 0);
    CHECK_EQ(p[1].revents, POLLOUT);
    CHECK_EQ(p[2].revents, 0);
    CHECK_EQ(poll(p, 1, 10), 0);
    CHECK_EQ(pthread_create(&thread, NULL, write_later, NULL), 0);
    CHECK_EQ(poll(p, 1, -1), 1);
    CHECK_EQ(p[0].revents, POLLIN);
    pthread_join(thread, NULL);
    fd_set set;
    FD_ZERO(&set);
    FD_SET(s_pipe[0], &set);
    struct timeval tv = { 0, 1000 };
    CHECK_EQ(select(s_pipe[0] + 1, &set, NULL, NULL, &tv), 1);
    CHECK(FD_ISSET(s_pipe[0], &set));
    char c;
    CHECK_EQ(read(s_pipe[0], &c, 1), 1);
    tv.tv_usec = 1000;
    CHECK_EQ(select(s_pipe[0] + 1, &set, NULL, NULL, &tv), 0);
    CHECK(!FD_ISSET(s_pipe[0], &set));
    close(s_pipe[1]);
    CHECK_EQ(poll(p, 1, -1), 1);
    CHECK_EQ(p[0].revents, POLLHUP);
    close(s_pipe[0]);
    CHECK_EQ(poll(p, 1, 0), 1);
    CHECK_EQ(p[0].revents, POLLNVAL);
}

static void test_epoll(void)
{
    pthread_t thread;
    struct epoll_event e = { .events = EPOLLIN, .data.u64 = 0x123456789abcdefull }, got[4];
    int ep = epoll_create1(EPOLL_CLOEXEC);
    CHECK(ep >= 0);
    CHECK_EQ(pipe(s_pipe), 0);
    CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_ADD, s_pipe[0], &e), 0);
    CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_ADD, s_pipe[0], &e), EEXIST);
    CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_MOD, s_pipe[1], &e), ENOENT);
    CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_ADD, ep, &e), EINVAL);
    CHECK_EQ(epoll_wait(ep, got, 4, 0), 0);
    CHECK_EQ(pthread_create(&thread, NULL, write_later, NULL), 0);
    CHECK_EQ(epoll_wait(ep, got, 4, -1), 1);
    CHECK_EQ(got[0].data.u64, 0x123456789abcdefull);
    CHECK_EQ(got[0].events, EPOLLIN);
    pthread_join(thread, NULL);
    /* Level-triggered: again, until it is read. */
    CHECK_EQ(epoll_wait(ep, got, 4, 0), 1);
    e.events = EPOLLIN | EPOLLET;
    CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_MOD, s_pipe[0], &e), 0);
    CHECK_EQ(epoll_wait(ep, got, 4, 0), 1);
    CHECK_EQ(epoll_wait(ep, got, 4, 0), 0);
    CHECK_EQ(write(s_pipe[1], "y", 1), 1);
    CHECK_EQ(epoll_wait(ep, got, 4, 0), 1);
    e.events = EPOLLIN | EPOLLONESHOT;
    CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_MOD, s_pipe[0], &e), 0);
    CHECK_EQ(epoll_wait(ep, got, 4, 0), 1);
    CHECK_EQ(write(s_pipe[1], "z", 1), 1);
    CHECK_EQ(epoll_wait(ep, got, 4, 0), 0);
    CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_MOD, s_pipe[0], &e), 0);
    CHECK_EQ(epoll_wait(ep, got, 4, 0), 1);
    /* Nested. */
    int outer = epoll_create1(0);
    e.events = EPOLLIN;
    CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_MOD, s_pipe[0], &e), 0);
    CHECK_EQ(epoll_ctl(outer, EPOLL_CTL_ADD, ep, &e), 0);
    CHECK_EQ(epoll_wait(outer, got, 4, 0), 1);
    CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_ADD, outer, &e), ELOOP);
    char buffer[8];
    CHECK_EQ(read(s_pipe[0], buffer, 8), 3);
    CHECK_EQ(epoll_wait(outer, got, 4, 0), 0);
    close(outer);
    /* Closing takes it out. */
    close(s_pipe[0]);
    close(s_pipe[1]);
    CHECK_EQ(epoll_wait(ep, got, 4, 0), 0);
    int file = open("/", O_RDONLY | O_DIRECTORY);
    CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_ADD, file, &e), EPERM);
    close(file);
    close(ep);
}

int main(void)
{
    test_pipe();
    test_eventfd();
    test_poll();
    test_epoll();
    return check_result();
}
