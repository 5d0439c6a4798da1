// Waits for a signal of the machine's, and ends with its number. Nobody reads standard input.
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static volatile sig_atomic_t s_number;

static void on_signal(int number)
{
    s_number = number;
}

int main(void)
{
    struct sigaction action = { .sa_handler = on_signal };
    sigset_t blocked, open;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGINT);
    sigaddset(&blocked, SIGTERM);
    sigprocmask(SIG_BLOCK, &blocked, &open);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    puts("waiting");
    fflush(stdout);
    while (s_number == 0)
        sigsuspend(&open);
    printf("signal %d\n", (int)s_number);
    return s_number;
}
