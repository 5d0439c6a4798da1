// A processor without a generator, a clock that ticks with the instructions: nothing random is there, and getrandom
// says so, or waits, rather than give what could be guessed.
// arch: x86_64
// options: --cpu qemu64,+fsgsbase,+rdtscp,-rdrand,-rdseed --qemu-args "-icount shift=0"
// expect: getrandom waits for entropy
#include "check.h"

#include <signal.h>
#include <sys/random.h>
#include <unistd.h>

static void on_alarm(int number)
{
    (void)number;
}

int main(void)
{
    unsigned char bytes[16] = { 0 };
    CHECK_ERRNO(getrandom(bytes, sizeof bytes, GRND_NONBLOCK), EAGAIN);
    struct sigaction action = { .sa_handler = on_alarm };
    CHECK_EQ(sigaction(SIGALRM, &action, NULL), 0);
    alarm(1);
    CHECK_ERRNO(getrandom(bytes, sizeof bytes, 0), EINTR);
    for (unsigned i = 0; i < sizeof bytes; i++)
        CHECK_EQ(bytes[i], 0);
    return check_result();
}
