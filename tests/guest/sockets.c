// Sockets over loopback: TCP, UDP, UNIX, options, poll, ancillary data.
// options: --net none
// oracle: native
#define _GNU_SOURCE
#include "check.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct sockaddr_in loopback(int port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static int listener(int* port)
{
    struct sockaddr_in address = loopback(0);
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(fd >= 0);
    CHECK_EQ(bind(fd, (struct sockaddr*)&address, sizeof address), 0);
    CHECK_EQ(listen(fd, 5), 0);
    CHECK_EQ(getsockname(fd, (struct sockaddr*)&address, &length), 0);
    CHECK_EQ(length, sizeof address);
    *port = ntohs(address.sin_port);
    CHECK(*port != 0);
    return fd;
}

static void tcp(void)
{
    int port;
    int server = listener(&port);
    struct sockaddr_in address = loopback(port);
    int client = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_EQ(connect(client, (struct sockaddr*)&address, sizeof address), 0);
    CHECK_ERRNO(connect(client, (struct sockaddr*)&address, sizeof address), EISCONN);
    struct sockaddr_in peer;
    socklen_t length = sizeof peer;
    int accepted = accept4(server, (struct sockaddr*)&peer, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    CHECK(accepted >= 0);
    CHECK_EQ(fcntl(accepted, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    CHECK_EQ(fcntl(accepted, F_GETFD), FD_CLOEXEC);
    char buffer[64];
    CHECK_ERRNO(read(accepted, buffer, sizeof buffer), EAGAIN);
    CHECK_EQ(write(client, "hello", 5), 5);
    struct pollfd wait = { .fd = accepted, .events = POLLIN };
    CHECK_EQ(poll(&wait, 1, 1000), 1);
    CHECK_EQ(wait.revents, POLLIN);
    int waiting = 0;
    CHECK_EQ(ioctl(accepted, FIONREAD, &waiting), 0);
    CHECK_EQ(waiting, 5);
    CHECK_EQ(recv(accepted, buffer, sizeof buffer, MSG_PEEK), 5);
    CHECK_EQ(recv(accepted, buffer, 2, 0), 2);
    CHECK_EQ(recv(accepted, buffer + 2, sizeof buffer - 2, 0), 3);
    CHECK(memcmp(buffer, "hello", 5) == 0);
    CHECK_EQ(shutdown(client, SHUT_WR), 0);
    CHECK_EQ(poll(&wait, 1, 1000), 1);
    CHECK_EQ(read(accepted, buffer, sizeof buffer), 0);
    CHECK_EQ(send(accepted, "bye", 3, MSG_NOSIGNAL), 3);
    CHECK_EQ(recv(client, buffer, 3, MSG_WAITALL), 3);
    close(accepted);
    CHECK_EQ(read(client, buffer, sizeof buffer), 0);
    CHECK_ERRNO(send(client, "x", 1, MSG_NOSIGNAL), EPIPE);
    close(client);
    close(server);

    client = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_ERRNO(connect(client, (struct sockaddr*)&address, sizeof address), ECONNREFUSED);
    close(client);
}

static void bulk(void)
{
    enum { total = 8 << 20, piece = 100000 };
    int port;
    int server = listener(&port);
    struct sockaddr_in address = loopback(port);
    int client = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    int result = connect(client, (struct sockaddr*)&address, sizeof address);
    CHECK(result == 0 || errno == EINPROGRESS);
    int accepted = accept4(server, NULL, NULL, SOCK_NONBLOCK);
    CHECK(accepted >= 0);
    int error = -1;
    socklen_t length = sizeof error;
    CHECK_EQ(getsockopt(client, SOL_SOCKET, SO_ERROR, &error, &length), 0);
    CHECK_EQ(error, 0);
    static unsigned char out[piece];
    static unsigned char in[piece];
    long sent = 0;
    long received = 0;
    int wrong = 0;
    while (received < total) {
        struct pollfd wait[2]
            = { { .fd = client, .events = sent < total ? POLLOUT : 0 }, { .fd = accepted, .events = POLLIN } };
        if (poll(wait, 2, 5000) <= 0)
            break;
        if (wait[0].revents & POLLOUT) {
            int size = total - sent < piece ? total - sent : piece;
            for (int i = 0; i < size; ++i)
                out[i] = (unsigned char)((sent + i) * 31 >> 3);
            ssize_t n = write(client, out, size);
            if (n > 0)
                sent += n;
        }
        if (wait[1].revents & POLLIN) {
            ssize_t n = read(accepted, in, sizeof in);
            for (ssize_t i = 0; i < n; ++i)
                wrong += in[i] != (unsigned char)((received + i) * 31 >> 3);
            if (n > 0)
                received += n;
        }
    }
    CHECK_EQ(received, total);
    CHECK_EQ(wrong, 0);
    close(client);
    close(accepted);
    close(server);
}

static void udp(void)
{
    int server = socket(AF_INET, SOCK_DGRAM, 0);
    int client = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in address = loopback(0);
    socklen_t length = sizeof address;
    CHECK_EQ(bind(server, (struct sockaddr*)&address, sizeof address), 0);
    CHECK_EQ(getsockname(server, (struct sockaddr*)&address, &length), 0);
    int on = 1;
    CHECK_EQ(setsockopt(server, IPPROTO_IP, IP_PKTINFO, &on, sizeof on), 0);
    CHECK_EQ(sendto(client, "datagram", 8, 0, (struct sockaddr*)&address, sizeof address), 8);
    char data[16];
    char control[128];
    struct iovec vector = { data, 4 };
    struct sockaddr_in from;
    struct msghdr message = { .msg_name = &from,
        .msg_namelen = sizeof from,
        .msg_iov = &vector,
        .msg_iovlen = 1,
        .msg_control = control,
        .msg_controllen = sizeof control };
    CHECK_EQ(recvmsg(server, &message, 0), 4);
    CHECK(message.msg_flags & MSG_TRUNC);
    struct cmsghdr* header = CMSG_FIRSTHDR(&message);
    if (CHECK(header != NULL)) {
        CHECK_EQ(header->cmsg_level, IPPROTO_IP);
        CHECK_EQ(header->cmsg_type, IP_PKTINFO);
        struct in_pktinfo* info = (struct in_pktinfo*)CMSG_DATA(header);
        CHECK_EQ(info->ipi_addr.s_addr, htonl(INADDR_LOOPBACK));
    }
    CHECK_EQ(connect(client, (struct sockaddr*)&address, sizeof address), 0);
    CHECK_EQ(send(client, "", 0, 0), 0);
    CHECK_EQ(recv(server, data, sizeof data, 0), 0);
    close(server);
    CHECK_EQ(send(client, "x", 1, 0), 1);
    CHECK_ERRNO(recv(client, data, sizeof data, 0), ECONNREFUSED);
    struct timeval timeout = { 0, 20000 };
    CHECK_EQ(setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout), 0);
    CHECK_ERRNO(recv(client, data, sizeof data, 0), EAGAIN);
    close(client);
}

static void options(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int value = 1;
    socklen_t length = sizeof value;
    CHECK_EQ(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, sizeof value), 0);
    value = 0;
    CHECK_EQ(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, &length), 0);
    CHECK_EQ(value, 1);
    CHECK_EQ(getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &length), 0);
    CHECK_EQ(value, SOCK_STREAM);
    CHECK_EQ(getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &value, &length), 0);
    CHECK_EQ(value, AF_INET);
    struct tcp_info info;
    length = sizeof info;
    CHECK_EQ(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length), 0);
    CHECK_EQ(info.tcpi_state, 7);
    CHECK_ERRNO(setsockopt(fd, SOL_SOCKET, 9999, &value, sizeof value), ENOPROTOOPT);
    CHECK_ERRNO(setsockopt(0, SOL_SOCKET, SO_REUSEADDR, &value, sizeof value), ENOTSOCK);
    CHECK_ERRNO(setsockopt(77, SOL_SOCKET, SO_REUSEADDR, &value, sizeof value), EBADF);
    CHECK_ERRNO(recv(fd, &value, 4, 0), ENOTCONN);
    close(fd);
    CHECK_ERRNO(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP), EPROTONOSUPPORT);
    CHECK_ERRNO(socket(12345, SOCK_STREAM, 0), EAFNOSUPPORT);
    int port;
    int first = listener(&port);
    int second = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = loopback(port);
    CHECK_ERRNO(bind(second, (struct sockaddr*)&address, sizeof address), EADDRINUSE);
    address.sin_addr.s_addr = htonl(0x08080808);
    CHECK_ERRNO(bind(second, (struct sockaddr*)&address, sizeof address), EADDRNOTAVAIL);
    close(first);
    close(second);
}

static void unix_sockets(void)
{
    int pair[2];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    CHECK_EQ(write(pair[0], "ab", 2), 2);
    CHECK_EQ(write(pair[0], "cd", 2), 2);
    char buffer[16];
    CHECK_EQ(read(pair[1], buffer, 3), 3);
    CHECK_EQ(read(pair[1], buffer, 3), 1);
    CHECK_EQ(buffer[0], 'd');

    // A descriptor goes over.
    int pipes[2];
    CHECK_EQ(pipe(pipes), 0);
    char control[CMSG_SPACE(sizeof(int))] = { 0 };
    struct iovec vector = { "!", 1 };
    struct msghdr message
        = { .msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control };
    struct cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &pipes[1], sizeof(int));
    CHECK_EQ(sendmsg(pair[0], &message, 0), 1);
    close(pipes[1]);
    char data;
    vector = (struct iovec) { &data, 1 };
    memset(control, 0, sizeof control);
    CHECK_EQ(recvmsg(pair[1], &message, 0), 1);
    int passed = -1;
    header = CMSG_FIRSTHDR(&message);
    if (CHECK(header && header->cmsg_type == SCM_RIGHTS)) {
        memcpy(&passed, CMSG_DATA(header), sizeof(int));
        CHECK_EQ(write(passed, "z", 1), 1);
        CHECK_EQ(read(pipes[0], buffer, 1), 1);
        CHECK_EQ(buffer[0], 'z');
    }
    close(passed);
    close(pipes[0]);
    close(pair[0]);
    CHECK_EQ(read(pair[1], buffer, 1), 0);
    CHECK_ERRNO(send(pair[1], "x", 1, MSG_NOSIGNAL), EPIPE);
    close(pair[1]);

    struct sockaddr_un name = { .sun_family = AF_UNIX };
    snprintf(name.sun_path, sizeof name.sun_path, "/tmp/eremite-sockets-%d", (int)getpid());
    unlink(name.sun_path);
    int server = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    int client = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    CHECK_EQ(bind(server, (struct sockaddr*)&name, sizeof name), 0);
    CHECK_ERRNO(connect(client, (struct sockaddr*)&name, sizeof name), ECONNREFUSED);
    CHECK_EQ(listen(server, 1), 0);
    CHECK_EQ(connect(client, (struct sockaddr*)&name, sizeof name), 0);
    int accepted = accept(server, NULL, NULL);
    CHECK(accepted >= 0);
    CHECK_EQ(send(client, "one", 3, 0), 3);
    CHECK_EQ(send(client, "three", 5, 0), 5);
    CHECK_EQ(recv(accepted, buffer, sizeof buffer, 0), 3);
    CHECK_EQ(recv(accepted, buffer, 2, 0), 2);
    CHECK_ERRNO(recv(accepted, buffer, 2, MSG_DONTWAIT), EAGAIN);
    close(accepted);
    close(client);
    close(server);
    CHECK_EQ(unlink(name.sun_path), 0);
}

static void interfaces(void)
{
    struct ifaddrs* list = NULL;
    CHECK_EQ(getifaddrs(&list), 0);
    int found = 0;
    for (struct ifaddrs* entry = list; entry; entry = entry->ifa_next) {
        if (strcmp(entry->ifa_name, "lo") == 0 && entry->ifa_addr && entry->ifa_addr->sa_family == AF_INET)
            found = ((struct sockaddr_in*)entry->ifa_addr)->sin_addr.s_addr == htonl(INADDR_LOOPBACK)
                && (entry->ifa_flags & IFF_LOOPBACK);
    }
    CHECK(found);
    freeifaddrs(list);
    CHECK_EQ(if_nametoindex("lo"), 1);
}

int main(void)
{
    tcp();
    bulk();
    udp();
    options();
    unix_sockets();
    interfaces();
    return check_result();
}
