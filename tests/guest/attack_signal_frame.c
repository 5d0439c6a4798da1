// PKRU in a signal's frame is the handler's to change, but the kernel's keys stay closed.
// arch: x86_64
// isolation: mpk
#define _GNU_SOURCE
#include "attack.h"

#include <ucontext.h>

static unsigned offset;
static uint32_t forged;

static void forge(int number, siginfo_t* information, void* context)
{
    (void)number, (void)information;
    char* area = (char*)((ucontext_t*)context)->uc_mcontext.fpregs;
    uint32_t* rights = (uint32_t*)(area + offset);
    CHECK((*rights & 0x3c) == 0x3c);
    *rights = forged;
    *(uint64_t*)(area + 512) |= 1u << 9;
}

static uint32_t rights(void)
{
    uint32_t low, high;
    __asm__ volatile("rdpkru" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

int main(void)
{
    attack_begin();
    uint32_t a = 0xd, b, c = 9, d;
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    offset = b;
    struct sigaction action = { .sa_sigaction = forge, .sa_flags = SA_SIGINFO };
    sigaction(SIGUSR1, &action, NULL);
    static const uint32_t values[] = { 0, 0x5555555c, 0x55555570, 0xfffffffc };
    for (unsigned i = 0; i < sizeof values / sizeof *values; i++) {
        forged = values[i];
        raise(SIGUSR1);
        CHECK_EQ(rights(), values[i] | 0x3c);
        CHECK_CLOSED(__eremite_kernel_data_start);
    }
    return check_result();
}
