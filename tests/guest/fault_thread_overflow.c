// A thread that runs out of its stack is named by the report, and so is that it was the stack.
// exit: 139
// expect: stack overflow in thread deep
// cflags: -O1
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <sys/prctl.h>

__attribute__((noinline)) static int recurse(volatile int* depth)
{
    volatile char frame[512];
    frame[0] = (char)*depth;
    ++*depth;
    return recurse(depth) + frame[0];
}

static void* run(void* unused)
{
    volatile int depth = 0;
    prctl(PR_SET_NAME, "deep");
    recurse(&depth);
    return unused;
}

int main(void)
{
    pthread_t thread;
    puts("going down");
    fflush(stdout);
    pthread_create(&thread, NULL, run, NULL);
    pthread_join(thread, NULL);
    return 0;
}
