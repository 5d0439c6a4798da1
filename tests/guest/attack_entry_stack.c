// A processor's entry stacks are no other processor's: at the same addresses each finds its own, so nobody reaches a
// frame while it is in flight.
// arch: x86_64
// isolation: mpk
// options: --smp 2
#define _GNU_SOURCE
#include "attack.h"

#include <pthread.h>
#include <sched.h>

/* The lowest word of the stack for NMIs, which none of them ever fills. */
#define WORD ((volatile uint64_t*)(0xffffffff80001000u + 0x1000 + 0x4000 + 0x1000 + 0x2000 + 0x1000))

static pthread_barrier_t barrier;

static void* on_processor(void* number)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((int)(uintptr_t)number, &set);
    CHECK_EQ(sched_setaffinity(0, sizeof set, &set), 0);
    sched_yield();
    *WORD = 0x1000 + (uintptr_t)number;
    pthread_barrier_wait(&barrier);
    CHECK(*WORD == 0x1000 + (uintptr_t)number);
    pthread_barrier_wait(&barrier);
    return NULL;
}

int main(void)
{
    attack_begin();
    pthread_barrier_init(&barrier, NULL, 2);
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, on_processor, (void*)1), 0);
    on_processor((void*)0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    /* Guards lie between them. */
    CHECK_EQ(ATTACK(attack_write(0xffffffff80001000u)), SIGSEGV);
    return check_result();
}
