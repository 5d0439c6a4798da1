// The kernel's tables of calls and of virtual functions lie among the image's constants. The application can read them,
// but can't make them writable, or put memory of its own in their place.
// arch: x86_64
// isolation: mpk
#define _GNU_SOURCE
#include "check.h"

#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#pragma GCC visibility push(hidden) // else absolute addresses
extern char __eremite_rodata_start[], __eremite_rodata_end[], __eremite_relro_start[], __eremite_relro_end[];
#pragma GCC visibility pop

static void attack(const char* what, char* start, char* end)
{
    for (char* page = start; page < end; page += 4096) {
        CHECK(mprotect(page, 4096, PROT_READ | PROT_WRITE) == -1);
        CHECK(munmap(page, 4096) == -1);
        CHECK(mmap(page, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED);
        CHECK(mremap(page, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, (void*)0x10000000) == MAP_FAILED);
        void* other = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        CHECK(other != MAP_FAILED);
        CHECK(mremap(other, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, page) == MAP_FAILED);
        CHECK_EQ(munmap(other, 4096), 0);
        madvise(page, 4096, MADV_DONTNEED);
        CHECK(*(volatile char*)page != 0 || page[1] == page[1]); // still there
    }
    CHECK(end > start);
    printf("%s: %ld pages\n", what, (long)(end - start) / 4096);
}

int main(void)
{
    attack("constants", __eremite_rodata_start, __eremite_rodata_end);
    attack("constants after relocation", __eremite_relro_start, __eremite_relro_end);
    CHECK(getppid() >= 0);
    return check_result();
}
