/* netbench: message-size benchmark over one TCP connection per cell.
 *   netbench serve PORT            (guest)  single thread, no fork, one client at a time
 *   netbench run HOST PORT [opts]  (host)   prints TSV
 *   netbench ping HOST PORT [opts] (host)   round trips of UDP datagrams that HOST reflects (bench/floor), as kind F
 * opts: -t SECONDS (target per cell, default 1.0)  -s SIZE (only this size)  -k PSR (only these kinds)
 *       -l LABEL (first column)  -c 1 (last column: server's ticks per message)
 * Only POSIX sockets + clock_gettime (client only).  The server needs no clock, no
 * signals, no fork, no poll: socket/bind/listen/accept/read/write/close/setsockopt.
 *
 * Protocol (little endian): client sends 16 bytes {u32 op, u32 size, u64 count}; the server
 *   'P' echoes `count` messages of `size` bytes (whole message read before it is written)
 *   'S' reads count*size bytes, then writes 8 bytes
 *   'R' writes `count` messages, each with ONE write() of `size` (looping on short writes)
 *   'T' answers 8 bytes: its cycle counter (rdtsc; 0 elsewhere).  Under QEMU `-icount shift=0`
 *       that is the virtual clock in ns: executed instructions PLUS idle time; with `-c 1` the client prints, as a last
 *       column, guest ticks per message (delta over the timed round, incl. one 'T' round trip)
 * and waits for the next header; EOF ends the connection.
 * Every cell: calibration rounds (these warm the connection up) until a round lasts
 * > 1/8 of the target, then one timed round sized to the target. */
#include "mark.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>
#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif
#define MAXMSG (256 * 1024)
#define MAXSAMP 400000
static unsigned char buf[MAXMSG];
static float samp[MAXSAMP];

static void put32(unsigned char* p, uint32_t v)
{
    int i;
    for (i = 0; i < 4; i++)
        p[i] = v >> (8 * i);
}
static uint32_t get32(unsigned char* p)
{
    return p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24;
}

static int rd(int fd, size_t n) /* read exactly n (<= MAXMSG) bytes into buf */
{
    size_t o = 0;
    while (o < n) {
        ssize_t r = recv(fd, buf + o, n - o, 0);
        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            return -1;
        o += r;
    }
    return 0;
}
static int wr(int fd, const unsigned char* p, size_t n)
{
    while (n) {
        ssize_t r = send(fd, p, n, MSG_NOSIGNAL);
        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            return -1;
        p += r;
        n -= r;
    }
    return 0;
}
static int sink(int fd, uint64_t n) /* read and drop n bytes, big reads */
{
    while (n) {
        ssize_t r = recv(fd, buf, n < MAXMSG ? n : MAXMSG, 0);
        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            return -1;
        n -= r;
    }
    return 0;
}
static void nodelay(int fd)
{
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

static uint64_t ticks(void)
{
#if defined(__x86_64__)
    uint32_t a, d;
    __asm__ volatile("lfence; rdtsc" : "=a"(a), "=d"(d)::"memory");
    return a | (uint64_t)d << 32;
#else
    return 0;
#endif
}
static int serve(int port)
{
    struct sockaddr_in a;
    int one = 1, l = socket(AF_INET, SOCK_STREAM, 0);
    memset(&a, 0, sizeof a);
    a.sin_family = AF_INET;
    a.sin_port = htons(port);
    a.sin_addr.s_addr = htonl(INADDR_ANY);
    setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (l < 0 || bind(l, (struct sockaddr*)&a, sizeof a) || listen(l, 8)) {
        perror("listen");
        return 1;
    }
    printf("netbench: listening on %d\n", port);
    fflush(stdout);
    for (;;) {
        int c = accept(l, 0, 0);
        if (c < 0) {
            if (errno == EINTR)
                continue;
            perror("accept");
            continue;
        }
        nodelay(c);
        while (rd(c, 16) == 0) {
            uint32_t op = get32(buf), size = get32(buf + 4);
            uint64_t n = get32(buf + 8) | (uint64_t)get32(buf + 12) << 32, i;
            int bad = 0;
            if (op == 'T') {
                n = ticks();
                put32(buf, (uint32_t)n);
                put32(buf + 4, (uint32_t)(n >> 32));
                if (wr(c, buf, 8))
                    break;
                continue;
            }
            if (size == 0 || size > MAXMSG)
                break;
            MARK(16);
            if (op == 'P') {
                for (i = 0; i < n && !bad; i++)
                    bad = rd(c, size) || wr(c, buf, size);
            } else if (op == 'S') {
                bad = sink(c, n * size) || wr(c, buf, 8);
            } else if (op == 'R') {
                for (i = 0; i < n && !bad; i++)
                    bad = wr(c, buf, size);
            } else
                break;
            MARK(17);
            printf("served %c %u %llu\n", (int)op, size, (unsigned long long)n);
            fflush(stdout);
            if (bad)
                break;
        }
        close(c);
    }
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}
static int conn(const char* host, int port)
{
    struct sockaddr_in a;
    struct timeval tv = { 20, 0 };
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    memset(&a, 0, sizeof a);
    a.sin_family = AF_INET;
    a.sin_port = htons(port);
    if (inet_pton(AF_INET, host, &a.sin_addr) != 1) {
        fprintf(stderr, "bad address\n");
        exit(2);
    }
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
    if (connect(fd, (struct sockaddr*)&a, sizeof a)) {
        perror("connect");
        exit(1);
    }
    nodelay(fd);
    return fd;
}
static double round_(int fd, int op, uint32_t size, uint64_t n) /* seconds, or -1 */
{
    unsigned char h[16];
    double t0, t, u;
    uint64_t i;
    put32(h, op);
    put32(h + 4, size);
    put32(h + 8, (uint32_t)n);
    put32(h + 12, (uint32_t)(n >> 32));
    t0 = now();
    if (wr(fd, h, 16))
        return -1;
    if (op == 'P') {
        for (i = 0, t = now(); i < n; i++, t = u) {
            if (wr(fd, buf, size) || rd(fd, size))
                return -1;
            u = now();
            if (i < MAXSAMP)
                samp[i] = (float)((u - t) * 1e6);
        }
    } else if (op == 'S') {
        for (i = 0; i < n; i++)
            if (wr(fd, buf, size))
                return -1;
        if (rd(fd, 8))
            return -1;
    } else if (sink(fd, n * size))
        return -1;
    return now() - t0;
}
static uint64_t gticks(int fd) /* the guest's tick counter */
{
    unsigned char h[16] = { 'T' };
    if (wr(fd, h, 16) || rd(fd, 8))
        return 0;
    return get32(buf) | (uint64_t)get32(buf + 4) << 32;
}
static int cmpf(const void* a, const void* b)
{
    float x = *(float*)a, y = *(float*)b;
    return (x > y) - (x < y);
}

static int run(int ac, char** av)
{
    static const uint32_t sizes[] = { 1, 8, 64, 256, 1024, 4096, 16384, 65536, 262144 };
    const char *host = av[0], *kinds = "PSR", *label = 0, *k;
    int port = atoi(av[1]), i, cnt = 0;
    uint32_t only = 0;
    double target = 1.0;
    for (i = 2; i + 1 < ac; i += 2) {
        if (!strcmp(av[i], "-t"))
            target = atof(av[i + 1]);
        else if (!strcmp(av[i], "-s"))
            only = atoi(av[i + 1]);
        else if (!strcmp(av[i], "-k"))
            kinds = av[i + 1];
        else if (!strcmp(av[i], "-l"))
            label = av[i + 1];
        else if (!strcmp(av[i], "-c"))
            cnt = atoi(av[i + 1]);
    }
    for (i = 0; i < (int)(sizeof sizes / sizeof *sizes); i++)
        for (k = kinds; *k; k++) {
            uint32_t s = sizes[i];
            uint64_t n = *k == 'P' ? 16 : s >= 16384 ? 4 : 65536 / s, cap;
            double t = 0;
            uint64_t g = 0;
            int fd, r;
            if (only && s != only)
                continue;
            fd = conn(host, port);
            cap = 4000000000ull / s + 1;
            for (r = 0; r < 12; r++) {
                t = round_(fd, *k, s, n);
                if (t < 0 || t > target / 8)
                    break;
                n *= t < target / 64 ? 8 : 2;
                if (n > cap)
                    n = cap;
            }
            if (t > 0) {
                n = (uint64_t)(n * (target / t)) + 1;
                if (n > cap)
                    n = cap;
                if (cnt)
                    g = gticks(fd);
                t = round_(fd, *k, s, n);
                if (cnt && t > 0)
                    g = gticks(fd) - g;
            }
            close(fd);
            if (label)
                printf("%s\t", label);
            if (t < 0) {
                printf("%c\t%u\tFAILED\n", *k, s);
                fflush(stdout);
                continue;
            }
            if (*k == 'P') { /* kind size n secs rt/s median_us p99_us oneway_MB/s */
                size_t m = n < MAXSAMP ? n : MAXSAMP;
                qsort(samp, m, sizeof *samp, cmpf);
                printf("P\t%u\t%llu\t%.3f\t%.1f\t%.1f\t%.1f\t%.3f", s, (unsigned long long)n, t, n / t, samp[m / 2],
                    samp[m - 1 - m / 100], 2.0 * s * n / t / 1e6);
            } else /* kind size n secs MB/s kmsg/s */
                printf("%c\t%u\t%llu\t%.3f\t%.4f\t%.2f", *k, s, (unsigned long long)n, t, s * (double)n / t / 1e6,
                    n / t / 1e3);
            if (cnt)
                printf("\t%.1f", (double)g / n);
            putchar('\n');
            fflush(stdout);
        }
    return 0;
}
static int ping(int ac, char** av)
{
    static const uint32_t sizes[] = { 1, 8, 64, 256, 1024 };
    struct sockaddr_in a;
    struct timeval tv = { 0, 200000 };
    const char* label = 0;
    double target = 1.0, t0, t, u;
    int i, fd = socket(AF_INET, SOCK_DGRAM, 0);
    memset(&a, 0, sizeof a);
    a.sin_family = AF_INET;
    a.sin_port = htons(atoi(av[1]));
    for (i = 2; i + 1 < ac; i += 2) {
        if (!strcmp(av[i], "-t"))
            target = atof(av[i + 1]);
        else if (!strcmp(av[i], "-l"))
            label = av[i + 1];
    }
    if (inet_pton(AF_INET, av[0], &a.sin_addr) != 1 || connect(fd, (struct sockaddr*)&a, sizeof a)) {
        perror("ping");
        return 2;
    }
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
    for (i = 0; i < (int)(sizeof sizes / sizeof *sizes); i++) {
        size_t m = 0, lost = 0;
        for (t0 = t = now(); t - t0 < target && lost < 20; t = u) {
            if (send(fd, buf, sizes[i], 0) != (ssize_t)sizes[i] || recv(fd, buf, sizes[i], 0) != (ssize_t)sizes[i]) {
                lost++;
                u = now();
                continue;
            }
            u = now();
            if (m < MAXSAMP)
                samp[m++] = (float)((u - t) * 1e6);
        }
        if (label)
            printf("%s\t", label);
        if (m == 0) {
            printf("F\t%u\tFAILED\n", sizes[i]);
            continue;
        }
        qsort(samp, m, sizeof *samp, cmpf);
        printf("F\t%u\t%zu\t%.3f\t%.1f\t%.1f\t%.1f\n", sizes[i], m, t - t0, m / (t - t0), samp[m / 2],
            samp[m - 1 - m / 100]);
        fflush(stdout);
    }
    return 0;
}
int main(int ac, char** av)
{
    if (ac >= 3 && !strcmp(av[1], "serve"))
        return serve(atoi(av[2]));
    if (ac >= 4 && !strcmp(av[1], "run"))
        return run(ac - 2, av + 2);
    if (ac >= 4 && !strcmp(av[1], "ping"))
        return ping(ac - 2, av + 2);
    fprintf(stderr,
        "usage: netbench serve PORT | run HOST PORT [-t s] [-s size] [-k PSR] [-l label] [-c 1]"
        " | ping HOST PORT [-t s] [-l label]\n");
    return 2;
}
