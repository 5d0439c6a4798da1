// Files and pipes to and from sockets without a copy of the program's own: sendfile, splice; and what /proc/net says of
// them.
// options: --net none
// oracle: native
#define _GNU_SOURCE
#include "check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

enum { k_size = 1000000 };
static unsigned char content[k_size];
static unsigned char received[k_size];

static void connected_pair(int pair[2], int* port)
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_EQ(bind(listener, (struct sockaddr*)&address, sizeof address), 0);
    CHECK_EQ(listen(listener, 1), 0);
    CHECK_EQ(getsockname(listener, (struct sockaddr*)&address, &length), 0);
    *port = ntohs(address.sin_port);
    pair[0] = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_EQ(connect(pair[0], (struct sockaddr*)&address, sizeof address), 0);
    pair[1] = accept(listener, NULL, NULL);
    CHECK(pair[1] >= 0);
    close(listener);
}

static int make_file(void)
{
    char name[] = "/tmp/transferXXXXXX";
    int file = mkstemp(name);
    CHECK(file >= 0);
    unlink(name);
    for (size_t i = 0; i < k_size; ++i)
        content[i] = (unsigned char)(i * 31 + i / 257);
    CHECK_EQ(write(file, content, k_size), k_size);
    return file;
}

static void* drain(void* argument)
{
    int fd = *(int*)argument;
    size_t at = 0;
    memset(received, 0, sizeof received);
    while (at < k_size) {
        ssize_t now = read(fd, received + at, k_size - at);
        if (now <= 0)
            break;
        at += (size_t)now;
    }
    return NULL;
}

static void sends_a_file(void)
{
    int pair[2];
    int port;
    connected_pair(pair, &port);
    int file = make_file();
    pthread_t reader;
    CHECK_EQ(pthread_create(&reader, NULL, drain, &pair[1]), 0);
    off_t offset = 0;
    while (offset < k_size) {
        ssize_t now = sendfile(pair[0], file, &offset, (size_t)(k_size - offset));
        CHECK(now > 0);
        if (now <= 0)
            break;
    }
    pthread_join(reader, NULL);
    CHECK_EQ(memcmp(content, received, k_size), 0);
    CHECK_EQ(lseek(file, 0, SEEK_CUR), k_size); // an offset of one's own leaves the file's where it was

    CHECK_EQ(sendfile(pair[0], file, NULL, 10), 0); // at its end
    offset = k_size - 5;
    CHECK_EQ(sendfile(pair[0], file, &offset, 100), 5);
    CHECK_EQ(offset, k_size);
    CHECK_EQ(read(pair[1], received, 100), 5);
    close(pair[0]);
    close(pair[1]);
    close(file);
}

static void does_not_block(void)
{
    int pair[2];
    int port;
    connected_pair(pair, &port);
    int file = make_file();
    fcntl(pair[0], F_SETFL, O_NONBLOCK);
    off_t offset = 0;
    off_t total = 0;
    ssize_t now;
    for (int tries = 0; tries < 100; ++tries) { // nobody reads: in the end there is no room
        offset = 0;
        now = sendfile(pair[0], file, &offset, k_size);
        if (now < 0)
            break;
        total += now;
        CHECK_EQ(offset, now);
    }
    CHECK_EQ(now, -1);
    CHECK_EQ(errno, EAGAIN);
    CHECK(total > 0);
    close(pair[1]);
    close(pair[0]);
    close(file);
}

static void splices_through_a_pipe(void)
{
    int in[2];
    int out[2];
    int ends[2];
    int port;
    connected_pair(in, &port);
    connected_pair(out, &port);
    CHECK_EQ(pipe(ends), 0);
    CHECK_EQ(write(in[0], "through a pipe", 14), 14);
    CHECK_EQ(splice(in[1], NULL, ends[1], NULL, 4096, 0), 14);
    CHECK_EQ(splice(ends[0], NULL, out[0], NULL, 4096, 0), 14);
    char text[32] = "";
    CHECK_EQ(read(out[1], text, sizeof text), 14);
    CHECK_EQ(strcmp(text, "through a pipe"), 0);

    CHECK_EQ(splice(in[1], NULL, out[0], NULL, 10, 0), -1); // one side must be a pipe
    CHECK_EQ(errno, EINVAL);
    fcntl(in[1], F_SETFL, O_NONBLOCK);
    CHECK_EQ(splice(in[1], NULL, ends[1], NULL, 10, SPLICE_F_NONBLOCK), -1);
    CHECK_EQ(errno, EAGAIN);
    shutdown(in[0], SHUT_WR);
    usleep(50000);
    CHECK_EQ(splice(in[1], NULL, ends[1], NULL, 10, 0), 0); // the end
    for (int i = 0; i < 2; ++i) {
        close(in[i]);
        close(out[i]);
        close(ends[i]);
    }
}

// The state of the socket whose local port this is, as /proc/net/NAME has it; 0 if it isn't there.
static int state_of(const char* name, int port, int local)
{
    char line[512];
    FILE* file = fopen(name, "r");
    CHECK(file != NULL);
    int found = 0;
    CHECK(fgets(line, sizeof line, file) != NULL); // the heading
    CHECK(strstr(line, "local_address") != NULL);
    while (fgets(line, sizeof line, file)) {
        unsigned ours, our_port, theirs, their_port, state;
        if (sscanf(line, " %*d: %8X:%4X %8X:%4X %2X", &ours, &our_port, &theirs, &their_port, &state) != 5)
            continue;
        if ((int)(local ? our_port : their_port) == port && ours == htonl(INADDR_LOOPBACK))
            found = (int)state;
    }
    fclose(file);
    return found;
}

static void are_shown(void)
{
    int pair[2];
    int port;
    connected_pair(pair, &port);
    CHECK_EQ(state_of("/proc/net/tcp", port, 1), 1); // established
    CHECK_EQ(state_of("/proc/net/tcp", port, 0), 1);
    shutdown(pair[0], SHUT_WR);
    usleep(50000);
    CHECK_EQ(state_of("/proc/net/tcp", port, 1), 8); // close wait
    CHECK_EQ(state_of("/proc/net/tcp", port, 0), 5); // FIN wait 2
    close(pair[0]);
    close(pair[1]);

    struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t length = sizeof address;
    int udp = socket(AF_INET, SOCK_DGRAM, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_EQ(bind(udp, (struct sockaddr*)&address, sizeof address), 0);
    CHECK_EQ(getsockname(udp, (struct sockaddr*)&address, &length), 0);
    CHECK_EQ(state_of("/proc/net/udp", ntohs(address.sin_port), 1), 7);
    close(udp);

    char text[8192] = "";
    FILE* file = fopen("/proc/net/dev", "r");
    CHECK(file != NULL);
    CHECK(fread(text, 1, sizeof text - 1, file) > 0);
    fclose(file);
    unsigned long bytes = 0;
    char* lo = strstr(text, " lo:");
    CHECK(lo != NULL);
    CHECK_EQ(sscanf(lo, " lo: %lu", &bytes), 1);
    CHECK(bytes > k_size);
    memset(text, 0, sizeof text);
    file = fopen("/proc/net/snmp", "r");
    CHECK(file != NULL);
    CHECK(fread(text, 1, sizeof text - 1, file) > 0);
    fclose(file);
    unsigned long opened = 0;
    char* values = strstr(text, "\nTcp: ");
    CHECK(values != NULL && (values = strstr(values + 1, "\nTcp: ")) != NULL);
    CHECK_EQ(sscanf(values, "\nTcp: %*d %*d %*d %*d %lu", &opened), 1);
    CHECK(opened >= 4);
}

int main(void)
{
    sends_a_file();
    does_not_block();
    splices_through_a_pipe();
    are_shown();
    return check_result();
}
