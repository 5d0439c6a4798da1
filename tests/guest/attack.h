// What the attacks on the kernel share (isolation mpk). An attack is tried under a handler of SIGSEGV, SIGILL and
// SIGTRAP on a stack of its own; what it met is looked at afterwards, and so is whether the kernel's memory is still
// closed.
#pragma once

#include "check.h"

#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>

static sigjmp_buf attack_back;
static volatile int attack_signal, attack_code, attack_key;
static volatile uintptr_t attack_address;

static void attack_met(int number, siginfo_t* information, void* context)
{
    (void)context;
    attack_signal = number;
    attack_code = information->si_code;
    attack_address = (uintptr_t)information->si_addr;
    attack_key = *(const int*)((const char*)information + 32); // si_pkey
    siglongjmp(attack_back, 1);
}

__attribute__((unused)) static void attack_begin(void)
{
    static char stack[32768] __attribute__((aligned(64)));
    stack_t alternate = { .ss_sp = stack, .ss_size = sizeof stack };
    CHECK_EQ(sigaltstack(&alternate, NULL), 0);
    struct sigaction action = { .sa_sigaction = attack_met, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGILL, &action, NULL);
    sigaction(SIGTRAP, &action, NULL);
}

/// Does it; 0 if it went through, else the signal that stopped it.
#define ATTACK(...) (attack_signal = 0, sigsetjmp(attack_back, 1) == 0 ? (void)(__VA_ARGS__) : (void)0, attack_signal)

__attribute__((unused, noinline)) static void attack_read(uintptr_t address)
{
    (void)*(volatile const uint8_t*)address;
}
__attribute__((unused, noinline)) static void attack_write(uintptr_t address)
{
    *(volatile uint8_t*)address = 0x5a;
}

/// Memory under the trusted key can neither be read nor written, and the signal says so.
#define CHECK_CLOSED(address)                                                                                          \
    do {                                                                                                               \
        uintptr_t place = (uintptr_t)(address);                                                                        \
        CHECK_EQ(ATTACK(attack_read(place)), SIGSEGV);                                                                 \
        CHECK_EQ(attack_code, 4); /* SEGV_PKUERR */                                                                    \
        CHECK_EQ(attack_key, 1);                                                                                       \
        CHECK(attack_address == place);                                                                                \
        CHECK_EQ(ATTACK(attack_write(place)), SIGSEGV);                                                                \
        CHECK_EQ(attack_code, 4);                                                                                      \
    } while (0)

/* The link script's and the kernel's. */
#pragma GCC visibility push(hidden)
extern char __eremite_kernel_data_start[], __eremite_kernel_data_end[];
extern char __eremite_kernel_text_start[], __eremite_kernel_text_end[];
extern char __eremite_boot_stack[], __eremite_gate[];
#pragma GCC visibility pop

#define DIRECT_MAP 0xffff800000000000u
