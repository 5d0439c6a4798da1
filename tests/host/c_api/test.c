/* The shared library from C: two stacks on one wire, a connection that carries a message each way and is closed, a lost
 * segment that comes again in virtual time, a refused connection, and UDP. Prints "ok". */
#include "c_api/eremite_net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                            \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

static en_stack* stacks[2];
static int drop_next_large; /* frames over 100 bytes */

/* Carries frames until both are quiet. */
static void carry(void)
{
    static unsigned char frame[65600];
    for (int busy = 1; busy;) {
        busy = 0;
        for (int i = 0; i < 2; ++i) {
            ssize_t length;
            while ((length = en_packet_out(stacks[i], frame, sizeof frame)) > 0) {
                busy = 1;
                if (length > 100 && drop_next_large > 0)
                    --drop_next_large;
                else
                    CHECK(en_packet_in(stacks[1 - i], frame, (size_t)length) == 0);
            }
            CHECK(length == 0);
        }
    }
}

static struct sockaddr_in at(const char* address, int port)
{
    struct sockaddr_in result = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    inet_pton(AF_INET, address, &result.sin_addr);
    return result;
}

static short events_of(int stack, int socket, short wanted)
{
    struct pollfd entry = { .fd = socket, .events = wanted };
    en_poll(stacks[stack], &entry, 1);
    return entry.revents;
}

int main(void)
{
    const uint8_t macs[2][6] = { { 2, 0, 0, 0, 0, 1 }, { 2, 0, 0, 0, 0, 2 } };
    for (int i = 0; i < 2; ++i) {
        stacks[i] = en_create(macs[i], 1500, 7 + (uint64_t)i);
        CHECK(stacks[i]);
    }
    CHECK(en_add_address(stacks[0], "10.0.0.1", 24) == 0);
    CHECK(en_add_address(stacks[1], "10.0.0.2", 24) == 0);
    CHECK(en_add_address(stacks[1], "nonsense", 24) == -EINVAL);

    int listener = en_open(stacks[1], AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in server = at("10.0.0.2", 80);
    CHECK(listener >= 0);
    CHECK(en_bind(stacks[1], listener, (struct sockaddr*)&server, sizeof server) == 0);
    CHECK(en_listen(stacks[1], listener, 5) == 0);
    CHECK(en_accept(stacks[1], listener, NULL) == -EAGAIN);

    int client = en_open(stacks[0], AF_INET, SOCK_STREAM, 0);
    CHECK(en_connect(stacks[0], client, (struct sockaddr*)&server, sizeof server) == -EINPROGRESS);
    CHECK(events_of(0, client, POLLOUT) == 0);
    carry();
    CHECK(events_of(0, client, POLLOUT) == POLLOUT);
    CHECK(events_of(1, listener, POLLIN) == POLLIN);
    struct sockaddr_storage peer;
    int accepted = en_accept(stacks[1], listener, &peer);
    CHECK(accepted >= 0);
    CHECK(((struct sockaddr_in*)&peer)->sin_addr.s_addr == htonl(0x0a000001));

    int on = 1;
    CHECK(en_setsockopt(stacks[0], client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0);
    socklen_t length = sizeof on;
    on = 0;
    CHECK(en_getsockopt(stacks[0], client, IPPROTO_TCP, TCP_NODELAY, &on, &length) == 0 && on == 1);

    char buffer[4096];
    CHECK(en_read(stacks[1], accepted, buffer, sizeof buffer) == -EAGAIN);
    CHECK(en_write(stacks[0], client, "question", 8) == 8);
    carry();
    CHECK(en_read(stacks[1], accepted, buffer, sizeof buffer) == 8 && memcmp(buffer, "question", 8) == 0);
    CHECK(en_write(stacks[1], accepted, "answer", 6) == 6);
    carry();
    CHECK(en_read(stacks[0], client, buffer, sizeof buffer) == 6 && memcmp(buffer, "answer", 6) == 0);

    /* What is lost comes again when its time has come. */
    char large[1000];
    memset(large, 'L', sizeof large);
    drop_next_large = 1;
    CHECK(en_write(stacks[0], client, large, sizeof large) == sizeof large);
    carry();
    CHECK(en_read(stacks[1], accepted, buffer, sizeof buffer) == -EAGAIN);
    CHECK(en_until_next(stacks[0]) < 1000000000);
    for (int i = 0; i < 2; ++i)
        en_advance(stacks[i], 1000000000);
    carry();
    CHECK(en_read(stacks[1], accepted, buffer, sizeof buffer) == sizeof large && buffer[999] == 'L');

    CHECK(en_shutdown(stacks[0], client, SHUT_WR) == 0);
    carry();
    CHECK(en_read(stacks[1], accepted, buffer, sizeof buffer) == 0);
    CHECK(en_close(stacks[1], accepted) == 0);
    carry();
    CHECK(en_read(stacks[0], client, buffer, sizeof buffer) == 0);
    CHECK(en_close(stacks[0], client) == 0);
    CHECK(en_close(stacks[0], client) == -EBADF);

    server = at("10.0.0.2", 81);
    int refused = en_open(stacks[0], AF_INET, SOCK_STREAM, 0);
    CHECK(en_connect(stacks[0], refused, (struct sockaddr*)&server, sizeof server) == -EINPROGRESS);
    carry();
    int error = 0;
    length = sizeof error;
    CHECK(en_getsockopt(stacks[0], refused, SOL_SOCKET, SO_ERROR, &error, &length) == 0 && error == ECONNREFUSED);

    int receiver = en_open(stacks[1], AF_INET, SOCK_DGRAM, 0);
    int sender = en_open(stacks[0], AF_INET, SOCK_DGRAM, 0);
    server = at("10.0.0.2", 9);
    CHECK(en_bind(stacks[1], receiver, (struct sockaddr*)&server, sizeof server) == 0);
    CHECK(en_connect(stacks[0], sender, (struct sockaddr*)&server, sizeof server) == 0);
    CHECK(en_write(stacks[0], sender, "datagram", 8) == 8);
    carry();
    CHECK(en_read(stacks[1], receiver, buffer, sizeof buffer) == 8);

    for (int i = 0; i < 2; ++i)
        en_destroy(stacks[i]);
    puts("ok");
    return 0;
}
