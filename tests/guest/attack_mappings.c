// The kernel's pages can't be mapped over, moved, unmapped or given other rights; nor can memory that opens keys become
// executable: written directly, by way of a file, or inside another instruction across a page's border.
// arch: x86_64
// isolation: mpk
#define _GNU_SOURCE
#include "attack.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

static const unsigned char open_keys[] = { 0x0f, 0x01, 0xef };

int main(void)
{
    attack_begin();
    int anonymous = MAP_PRIVATE | MAP_ANONYMOUS;
    char* kernel[] = { __eremite_kernel_data_start, __eremite_kernel_text_start, (char*)DIRECT_MAP };
    for (unsigned i = 0; i < 3; i++) {
        CHECK(mmap(kernel[i], 4096, PROT_READ | PROT_WRITE, anonymous | MAP_FIXED, -1, 0) == MAP_FAILED);
        CHECK_EQ(munmap(kernel[i], 4096), -1);
        CHECK_EQ(mprotect(kernel[i], 4096, PROT_READ | PROT_WRITE), -1);
        CHECK(mremap(kernel[i], 4096, 8192, MREMAP_MAYMOVE) == MAP_FAILED);
        char* mine = mmap(NULL, 4096, PROT_READ | PROT_WRITE, anonymous, -1, 0);
        CHECK(mremap(mine, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, kernel[i]) == MAP_FAILED);
        CHECK_EQ(madvise(kernel[i], 4096, MADV_DONTNEED), -1);
    }
    CHECK_CLOSED(__eremite_kernel_data_start);

    CHECK(mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, anonymous, -1, 0) == MAP_FAILED);
    char* page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, anonymous, -1, 0);
    static const int places[] = { 0, 101, 4093, 4094, 4095 };
    for (unsigned i = 0; i < sizeof places / sizeof *places; i++) {
        memset(page, 0x90, 8192);
        memcpy(page + places[i], open_keys, 3);
        CHECK_ERRNO(mprotect(page, 8192, PROT_READ | PROT_EXEC), EACCES);
        /* MOV EAX, imm32 with it inside. */
        page[places[i] ? places[i] - 1 : 3] = (char)0xb8;
        CHECK_ERRNO(mprotect(page, 8192, PROT_READ | PROT_EXEC), EACCES);
    }
    memset(page, 0xc3, 8192);
    CHECK_EQ(mprotect(page, 8192, PROT_READ | PROT_EXEC), 0);
    ((void (*)(void))page)();

    int file = open("/code", O_RDWR | O_CREAT, 0700);
    CHECK_EQ(write(file, open_keys, 3), 3);
    CHECK(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0) == MAP_FAILED);
    return check_result();
}
