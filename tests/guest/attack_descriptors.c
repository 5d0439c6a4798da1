// The descriptor tables and the task-state segment can't be written, nor found elsewhere; GS set to nothing is mended.
// arch: x86_64
// isolation: mpk
#include "attack.h"

#include <unistd.h>

struct __attribute__((packed)) pointer {
    uint16_t limit;
    uint64_t base;
};

int main(void)
{
    attack_begin();
    struct pointer gdt, idt;
    __asm__ volatile("sgdt %0" : "=m"(gdt));
    __asm__ volatile("sidt %0" : "=m"(idt));
    for (unsigned at = 0; at < gdt.limit; at += 8)
        CHECK_EQ(ATTACK(attack_write(gdt.base + at)), SIGSEGV);
    for (unsigned at = 0; at < idt.limit; at += 64)
        CHECK_EQ(ATTACK(attack_write(idt.base + at)), SIGSEGV);
    /* The task-state segment's address, from its descriptor. */
    const volatile uint8_t* entry = (const volatile uint8_t*)(gdt.base + 0x18);
    uint64_t task = (uint64_t)entry[2] | (uint64_t)entry[3] << 8 | (uint64_t)entry[4] << 16 | (uint64_t)entry[7] << 24
        | (uint64_t)*(const volatile uint32_t*)(entry + 8) << 32;
    for (unsigned at = 0; at < 104; at += 8)
        CHECK_EQ(ATTACK(attack_write(task + at)), SIGSEGV);

    for (int i = 0; i < 100; i++) {
        __asm__ volatile("mov %0, %%gs" : : "r"(i % 2 ? 0 : 0x10));
        CHECK_EQ(getppid(), 0);
    }
    __asm__ volatile("mov %0, %%gs" : : "r"(0));
    CHECK_EQ(ATTACK(attack_read(8)), SIGSEGV);
    CHECK_CLOSED(__eremite_kernel_data_start);
    return check_result();
}
