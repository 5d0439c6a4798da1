// Kernel data, heap, page tables and a kernel stack can neither be read nor written, and the processor's block neither.
// arch: x86_64
// isolation: mpk
// machines: pc q35 microvm loader
#include "attack.h"

#include <pthread.h>
#include <stdio.h>

static uintptr_t page_table_root(void)
{
    uintptr_t root;
    __asm__ volatile("mov %%cr3, %0" : "=r"(root));
    return root & ~(uintptr_t)0xfff;
}

static void read_processor_block(void)
{
    uintptr_t stack;
    __asm__ volatile("mov %%gs:8, %0" : "=r"(stack));
}

static void* in_thread(void* unused)
{
    (void)unused;
    CHECK_CLOSED(__eremite_boot_stack + 4096 + 16384 - 64); /* another thread's kernel stack */
    CHECK_EQ(ATTACK(read_processor_block()), SIGSEGV);
    return NULL;
}

int main(void)
{
    attack_begin();
    CHECK_CLOSED(__eremite_kernel_data_start);
    CHECK_CLOSED(__eremite_kernel_data_end - 1);
    CHECK_CLOSED(__eremite_boot_stack + 4096 + 16384 - 64); /* our own kernel stack */
    for (uintptr_t at = 0; at < 64; at += 3)
        CHECK_CLOSED(DIRECT_MAP + 0x1000000 + at * 0x10000);
    CHECK_CLOSED(DIRECT_MAP + page_table_root());
    CHECK_EQ(ATTACK(read_processor_block()), SIGSEGV);
    CHECK_EQ(attack_code, 4);
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, in_thread, NULL), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);

    long violations = 0;
    char line[128];
    FILE* file = fopen("/proc/stat", "r");
    while (file && fgets(line, sizeof line, file))
        sscanf(line, "isolation_violations %ld", &violations);
    CHECK(violations >= 50);
    return check_result();
}
