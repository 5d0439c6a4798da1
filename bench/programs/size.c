/* What TCP/IP adds to an image: the same loop over a descriptor, with -DTCP one that accept(2) gave, else standard
 * input. */
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

int main(void)
{
    static char buffer[4096];
    ssize_t length;
    int in = 0;
#ifdef TCP
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(7) };
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr*)&address, sizeof address) || listen(listener, 1))
        return 1;
    in = accept(listener, 0, 0);
#endif
    while ((length = read(in, buffer, sizeof buffer)) > 0)
        if (write(in, buffer, (size_t)length) != length)
            return 1;
    return 0;
}
