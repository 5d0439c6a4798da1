// With FILES it opens one, with SOCKETS it accepts a connection.
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

int main(void)
{
    char byte;
    int fd = 0;
#ifdef FILES
    fd = open("/etc/motd", O_RDONLY);
#endif
#ifdef SOCKETS
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(7) };
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr*)&address, sizeof address) || listen(listener, 1))
        return 1;
    fd = accept(listener, 0, 0);
#endif
    return read(fd, &byte, 1) == 1 ? 0 : 1;
}
