// Says what the network looks like from inside, then connects to each HOST:PORT of its arguments and reads a line.
#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static void addresses(void)
{
    struct ifaddrs* list;
    if (getifaddrs(&list) != 0)
        return perror("getifaddrs");
    for (struct ifaddrs* at = list; at; at = at->ifa_next) {
        char text[64];
        char mask[64];
        if (!at->ifa_addr || at->ifa_addr->sa_family != AF_INET || strcmp(at->ifa_name, "lo") == 0)
            continue;
        inet_ntop(AF_INET, &((struct sockaddr_in*)at->ifa_addr)->sin_addr, text, sizeof text);
        inet_ntop(AF_INET, &((struct sockaddr_in*)at->ifa_netmask)->sin_addr, mask, sizeof mask);
        printf("address %s %s %s\n", at->ifa_name, text, mask);
    }
    freeifaddrs(list);
    struct ifreq request = { .ifr_name = "eth0" };
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (ioctl(fd, SIOCGIFMTU, &request) == 0)
        printf("mtu %d\n", request.ifr_mtu);
    close(fd);
}

static void port_in_use(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(5000) };
    int first = socket(AF_INET, SOCK_STREAM, 0);
    int second = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(first, (struct sockaddr*)&address, sizeof address) != 0 || listen(first, 1) != 0)
        perror("bind");
    if (bind(second, (struct sockaddr*)&address, sizeof address) == 0)
        printf("the port was given twice\n");
    else
        printf("port in use: %s\n", strerror(errno));
    close(first);
    close(second);
}

int main(int argc, char** argv)
{
    addresses();
    port_in_use();
    for (int i = 1; i < argc; ++i) {
        char line[65536] = "";
        char* colon = strchr(argv[i], ':');
        struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(colon + 1)) };
        *colon = 0;
        inet_pton(AF_INET, argv[i], &address.sin_addr);
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        struct timeval limit = { .tv_sec = 10 };
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
        if (connect(fd, (struct sockaddr*)&address, sizeof address) != 0) {
            printf("%s: %s\n", argv[i], strerror(errno));
            continue;
        }
        ssize_t sent = write(fd, line, sizeof line); // so that segments are full
        shutdown(fd, SHUT_WR);
        ssize_t got = recv(fd, line, sizeof line - 1, MSG_WAITALL);
        if (got > 0)
            line[strcspn(line, "\n")] = 0;
        printf("%s: sent %zd, got %s\n", argv[i], sent, got > 0 ? line : "nothing");
        close(fd);
    }
    return 0;
}
