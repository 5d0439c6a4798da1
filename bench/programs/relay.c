// A wire with faults, for kernels without netem: carries frames between a tap and QEMU's datagram backend
// (-netdev socket,udp=127.0.0.1:THEIRS,localaddr=127.0.0.1:OURS), both ways alike, and on the way loses, doubles,
// delays and reorders some. Chance comes from the seed: the same frames meet the same fate.
//   relay TAP OUR-PORT THEIR-PORT [loss=PERMILLE] [double=PERMILLE] [reorder=PERMILLE] [delay=MILLISECONDS] [seed=N]
// A reordered frame takes a quarter to a whole of the delay (at least 5 ms) longer. Ends on SIGTERM, and says what it
// did.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { k_largest = 65600 };

struct frame {
    struct frame* next;
    int64_t due; // microseconds
    int to;
    size_t length;
    unsigned char bytes[];
};

static struct frame* waiting; // by time
static uint64_t state;
static volatile sig_atomic_t ended;
static unsigned long carried, lost, doubled, reordered;

static void end(int signal)
{
    (void)signal;
    ended = 1;
}

static void die(const char* what)
{
    perror(what);
    exit(1);
}

static int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

// xorshift64*
static unsigned chance(unsigned limit)
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (unsigned)((state * 0x2545f4914f6cdd1d) >> 33) % limit;
}

static void keep(int to, const unsigned char* bytes, size_t length, int64_t due)
{
    struct frame* frame = malloc(sizeof *frame + length);
    if (!frame)
        return;
    *frame = (struct frame) { .due = due, .to = to, .length = length };
    memcpy(frame->bytes, bytes, length);
    struct frame** place = &waiting;
    while (*place && (*place)->due <= due)
        place = &(*place)->next;
    frame->next = *place;
    *place = frame;
}

static unsigned option(int argc, char** argv, const char* name, unsigned otherwise)
{
    size_t length = strlen(name);
    for (int i = 4; i < argc; ++i) {
        if (strncmp(argv[i], name, length) == 0 && argv[i][length] == '=')
            return (unsigned)strtoul(argv[i] + length + 1, NULL, 10);
    }
    return otherwise;
}

int main(int argc, char** argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: relay TAP OUR-PORT THEIR-PORT [loss=] [double=] [reorder=] [delay=] [seed=]\n");
        return 2;
    }
    const unsigned loss = option(argc, argv, "loss", 0);
    const unsigned doubling = option(argc, argv, "double", 0);
    const unsigned reordering = option(argc, argv, "reorder", 0);
    const unsigned delay = option(argc, argv, "delay", 0) * 1000;
    state = option(argc, argv, "seed", 1) * 0x9e3779b97f4a7c15 + 1;

    int tap = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
    struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI };
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", argv[1]);
    if (tap < 0 || ioctl(tap, TUNSETIFF, &request) != 0)
        die(argv[1]);
    int wire = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in ours = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[2])) };
    struct sockaddr_in theirs = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[3])) };
    ours.sin_addr.s_addr = theirs.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int room = 4 << 20;
    setsockopt(wire, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    if (bind(wire, (struct sockaddr*)&ours, sizeof ours) != 0)
        die(argv[2]);
    signal(SIGTERM, end);
    signal(SIGINT, end);

    static unsigned char bytes[k_largest];
    struct pollfd inputs[2] = { { .fd = tap, .events = POLLIN }, { .fd = wire, .events = POLLIN } };
    while (!ended) {
        int64_t wait = waiting ? (waiting->due - now() + 999) / 1000 : -1;
        if (poll(inputs, 2, waiting && wait < 0 ? 0 : (int)wait) < 0 && errno != EINTR)
            die("poll");
        for (int from = 0; from < 2; ++from) {
            ssize_t length;
            while ((length = read(inputs[from].fd, bytes, sizeof bytes)) > 0) {
                ++carried;
                if (chance(1000) < loss) {
                    ++lost;
                    continue;
                }
                unsigned copies = chance(1000) < doubling ? 2 : 1;
                doubled += copies - 1;
                while (copies-- > 0) {
                    int64_t due = now() + delay;
                    if (chance(1000) < reordering) {
                        ++reordered;
                        due += 5000 + delay / 4 + chance(delay + 1);
                    }
                    keep(1 - from, bytes, (size_t)length, due);
                }
            }
        }
        while (waiting && waiting->due <= now()) {
            struct frame* frame = waiting;
            waiting = frame->next;
            ssize_t sent = frame->to == 0
                ? write(tap, frame->bytes, frame->length)
                : sendto(wire, frame->bytes, frame->length, 0, (struct sockaddr*)&theirs, sizeof theirs);
            (void)sent; // what doesn't fit is lost, as on a wire
            free(frame);
        }
    }
    printf("relay: %lu frames, %lu lost, %lu doubled, %lu reordered\n", carried, lost, doubled, reordered);
    return 0;
}
