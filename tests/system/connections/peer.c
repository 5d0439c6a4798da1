// Both ends of the test: `serve PORT` in the guest; outside `check HOST PORT CONNECTIONS AT_ONCE BYTES`, after which
// the server ends, or `look HOST PORT`, which prints what the guest says of its memory and sockets.
//
// The first byte that a client sends says what it wants: 'e' echoes what follows, 'r' and a length: the server receives
// so many bytes of the pattern and answers with "ok" or "no"; 's' and a length: it sends them; 'm': free memory in KiB
// and the number of TCP sockets; 'q': it ends.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static void die(const char* format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, ": %s\n", strerror(errno));
    exit(1);
}

static uint64_t buffer[32768];

static uint64_t pattern(uint64_t index)
{
    return index * 0x9e3779b97f4a7c15;
}

static int send_all(int fd, const void* data, size_t length)
{
    for (size_t sent = 0; sent < length;) {
        ssize_t now = send(fd, (const char*)data + sent, length - sent, MSG_NOSIGNAL);
        if (now <= 0)
            return -1;
        sent += (size_t)now;
    }
    return 0;
}

static int receive_all(int fd, void* data, size_t length)
{
    return length == 0 || recv(fd, data, length, MSG_WAITALL) == (ssize_t)length ? 0 : -1;
}

// A multiple of 8 bytes.
static int send_pattern(int fd, uint64_t bytes)
{
    for (uint64_t index = 0; index < bytes / 8;) {
        uint64_t count = bytes / 8 - index < 32768 ? bytes / 8 - index : 32768;
        for (uint64_t i = 0; i < count; ++i)
            buffer[i] = pattern(index + i);
        if (send_all(fd, buffer, count * 8) != 0)
            return -1;
        index += count;
    }
    return 0;
}

static int receive_pattern(int fd, uint64_t bytes)
{
    for (uint64_t index = 0; index < bytes / 8;) {
        uint64_t count = bytes / 8 - index < 32768 ? bytes / 8 - index : 32768;
        if (receive_all(fd, buffer, count * 8) != 0)
            return -1;
        for (uint64_t i = 0; i < count; ++i) {
            if (buffer[i] != pattern(index + i))
                return -1;
        }
        index += count;
    }
    return 0;
}

static void report_memory(int fd)
{
    char line[256];
    char text[64];
    long free_kib = -1;
    int sockets = -1;
    FILE* file = fopen("/proc/meminfo", "r");
    while (file && fgets(line, sizeof line, file))
        sscanf(line, "MemFree: %ld", &free_kib);
    if (file)
        fclose(file);
    file = fopen("/proc/net/tcp", "r");
    while (file && fgets(line, sizeof line, file))
        ++sockets;
    if (file)
        fclose(file);
    int length = snprintf(text, sizeof text, "%ld %d\n", free_kib, sockets);
    send_all(fd, text, (size_t)length);
}

// False when the connection is over.
static int serve_client(int fd)
{
    char text[4096];
    ssize_t length = recv(fd, text, 1, 0);
    uint64_t bytes;
    if (length <= 0)
        return 0;
    switch (text[0]) {
    case 'e':
        length = recv(fd, text, sizeof text, 0);
        return length > 0 && send_all(fd, text, (size_t)length) == 0;
    case 'r':
        if (receive_all(fd, &bytes, 8) == 0)
            send_all(fd, receive_pattern(fd, bytes) == 0 ? "ok" : "no", 2);
        return 0;
    case 's':
        if (receive_all(fd, &bytes, 8) == 0)
            send_pattern(fd, bytes);
        return 0;
    case 'm':
        report_memory(fd);
        return 1; // the client closes first, so that no TIME_WAIT of ours is counted next time
    case 'q':
        exit(0);
    default:
        return 0;
    }
}

static int serve(int port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    int one = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr*)&address, sizeof address) != 0 || listen(listener, 1024) != 0)
        die("port %d", port);
    int poller = epoll_create1(0);
    struct epoll_event event = { .events = EPOLLIN, .data.fd = listener };
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
    printf("serving\n");
    fflush(stdout);
    while (1) {
        struct epoll_event events[64];
        int count = epoll_wait(poller, events, 64, -1);
        for (int i = 0; i < count; ++i) {
            int fd = events[i].data.fd;
            if (fd == listener) {
                int client = accept(listener, NULL, NULL);
                if (client < 0)
                    die("accept");
                event = (struct epoll_event) { .events = EPOLLIN, .data.fd = client };
                epoll_ctl(poller, EPOLL_CTL_ADD, client, &event);
            } else if (!serve_client(fd)) {
                close(fd);
            }
        }
    }
}

static const char* host;
static int port;

static int open_connection(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    inet_pton(AF_INET, host, &address.sin_addr);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct timeval limit = { .tv_sec = 60 };
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (fd < 0 || connect(fd, (struct sockaddr*)&address, sizeof address) != 0)
        die("connect");
    return fd;
}

static void echo(int fd, int number)
{
    char out[16];
    char in[16] = "";
    int length = snprintf(out, sizeof out, "e%08d", number);
    if (send_all(fd, out, (size_t)length) != 0 || receive_all(fd, in, (size_t)length - 1) != 0
        || memcmp(out + 1, in, (size_t)length - 1) != 0)
        die("echo %d came back as '%s'", number, in);
}

static void ask_memory(long* free_kib, int* sockets)
{
    char text[64] = "";
    int fd = open_connection();
    send_all(fd, "m", 1);
    recv(fd, text, sizeof text - 1, 0); // so little comes in one piece
    close(fd);
    if (sscanf(text, "%ld %d", free_kib, sockets) != 2)
        die("no word of memory: '%s'", text);
}

static void in_a_row(int count)
{
    for (int i = 0; i < count; ++i) {
        int fd = open_connection();
        echo(fd, i);
        close(fd);
    }
}

static void at_once(int count)
{
    int* fds = malloc((size_t)count * sizeof *fds);
    for (int i = 0; i < count; ++i)
        fds[i] = open_connection();
    for (int i = count; i-- > 0;)
        echo(fds[i], i);
    for (int i = 0; i < count; ++i)
        close(fds[i]);
    free(fds);
}

static int check(int connections, int together, uint64_t bytes)
{
    struct rlimit files = { 65536, 65536 };
    setrlimit(RLIMIT_NOFILE, &files);
    long before;
    long after;
    int sockets;
    in_a_row(connections < 100 ? connections : 100);
    at_once(together); // memory that is kept for use again is there from here on
    // How much is kept depends on how far the guest fell behind at worst. A leak takes its part in every round.
    for (int round = 1;; ++round) {
        ask_memory(&before, &sockets);
        in_a_row(connections);
        at_once(together);
        for (int tries = 0; tries < 50; ++tries) {
            ask_memory(&after, &sockets);
            if (sockets <= 2) // the listener, and this connection
                break;
            usleep(100000);
        }
        printf("%d connections in a row, %d at once: %ld KiB free before, %ld after, %d sockets\n", connections,
            together, before, after, sockets);
        if (sockets > 2)
            return 1;
        if (after >= before - 256)
            break;
        if (round == 3)
            return 1;
    }
    int fd = open_connection();
    char answer[2] = "";
    if (send_all(fd, "r", 1) != 0 || send_all(fd, &bytes, 8) != 0 || send_pattern(fd, bytes) != 0
        || receive_all(fd, answer, 2) != 0 || memcmp(answer, "ok", 2) != 0)
        die("to the guest");
    close(fd);
    fd = open_connection();
    if (send_all(fd, "s", 1) != 0 || send_all(fd, &bytes, 8) != 0 || receive_pattern(fd, bytes) != 0)
        die("from the guest");
    close(fd);
    printf("%llu MiB each way, each byte as it should be\n", (unsigned long long)bytes >> 20);
    fd = open_connection();
    send_all(fd, "q", 1);
    close(fd);
    return 0;
}

int main(int argc, char** argv)
{
    if (argc == 3 && strcmp(argv[1], "serve") == 0)
        return serve(atoi(argv[2]));
    if (argc == 4 && strcmp(argv[1], "look") == 0) {
        long free_kib;
        int sockets;
        host = argv[2];
        port = atoi(argv[3]);
        in_a_row(1);
        ask_memory(&free_kib, &sockets);
        printf("%ld %d\n", free_kib, sockets);
        return 0;
    }
    if (argc != 7 || strcmp(argv[1], "check") != 0)
        return 2;
    host = argv[2];
    port = atoi(argv[3]);
    return check(atoi(argv[4]), atoi(argv[5]), strtoull(argv[6], NULL, 10));
}
