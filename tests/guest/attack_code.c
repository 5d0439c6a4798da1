// An application that wants an instruction which opens keys: it finds none in the image's text but those with a check
// behind them, and can't make memory executable that holds one, in whatever way.
// arch: x86_64
// isolation: mpk
#define _GNU_SOURCE
#include "check.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096, RX = PROT_READ | PROT_EXEC, RW = PROT_READ | PROT_WRITE };

#pragma GCC visibility push(hidden)
extern unsigned char __eremite_text_start[], __eremite_text_end[], __eremite_kernel_text_start[],
    __eremite_kernel_text_end[];
#pragma GCC visibility pop

/* Counts what may not be there; WRPKRU, XRSTOR and WRGSBASE are counted apart. */
static int search(const unsigned char* code, const unsigned char* end, int* checked)
{
    int found = 0;
    for (; code + 3 <= end; code++) {
        if (code[0] != 0x0f)
            continue;
        unsigned memory = code[2] >> 6 != 3, field = code[2] >> 3 & 7;
        if ((code[1] == 0x01 && code[2] == 0xef) || (code[1] == 0xae && memory && field == 5)
            || (code[1] == 0xae && !memory && field == 3))
            ++*checked;
        else if (code[1] == 0x30 || code[1] == 0x22 || code[1] == 0x23
            || (code[1] == 0x01 && (code[2] == 0xf8 || code[2] == 0xd1 || field == 6))
            || (code[1] == 0x01 && memory && (field == 2 || field == 3))
            || (code[1] == 0x00 && (field == 2 || field == 3)) || (code[1] == 0xc7 && memory && field == 3)) {
            printf("%02x %02x %02x at %p\n", code[0], code[1], code[2], (const void*)code);
            found++;
        }
    }
    return found;
}

static unsigned char* memory(size_t pages)
{
    unsigned char* result = mmap(NULL, pages * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return result == MAP_FAILED ? NULL : result;
}

int main(void)
{
    /* Put together here: the compiler would put them into an instruction, and no such image is built. */
    unsigned char wrpkru[] = { 0xf0, 0xfe, 0x10, 0x3c };
    for (volatile unsigned i = 0; i < sizeof wrpkru; i++)
        wrpkru[i] ^= 0xff;

    /* The text as it is now: what only the boot needs is gone. */
    int checked = 0;
    CHECK_EQ(search(__eremite_text_start, __eremite_text_end, &checked), 0);
    CHECK_EQ(checked, 0);
    CHECK_EQ(search(__eremite_kernel_text_start, __eremite_kernel_text_end, &checked), 0);
    CHECK(checked > 0 && checked < 20);
    /* Nor can anybody write it there. */
    CHECK(mprotect(__eremite_kernel_text_start, PAGE, RW) == -1);
    CHECK(mmap(__eremite_kernel_text_start, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED);

    /* Straight, inside a constant, and at a page's end. */
    unsigned char* page = memory(4);
    memcpy(page, wrpkru, sizeof wrpkru);
    CHECK_ERRNO(mprotect(page, PAGE, RX), EACCES);
    page[0] = 0xc3;
    page[100] = 0xb8;
    memcpy(page + 101, wrpkru, 3);
    CHECK_ERRNO(mprotect(page, PAGE, RX), EACCES);
    memset(page, 0x90, PAGE);
    memcpy(page + PAGE - 3, wrpkru, 3);
    CHECK_ERRNO(mprotect(page, PAGE, RX), EACCES);
    /* Across the border of two pages, one after the other, in both orders; then by moving one to the other. */
    memset(page, 0x90, 2 * PAGE);
    memcpy(page + PAGE - 1, wrpkru, sizeof wrpkru);
    CHECK_EQ(mprotect(page, PAGE, RX), 0);
    CHECK_ERRNO(mprotect(page + PAGE, PAGE, RX), EACCES);
    CHECK_EQ(mprotect(page, PAGE, RW), 0);
    CHECK_EQ(mprotect(page + PAGE, PAGE, RX), 0);
    CHECK_ERRNO(mprotect(page, PAGE, RX), EACCES);
    unsigned char* other = memory(1);
    other[PAGE - 1] = 0x0f;
    CHECK_EQ(mprotect(other, PAGE, RX), 0);
    CHECK(mremap(other, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, page) == MAP_FAILED);
    /* Hidden while it is looked at: what nobody may touch is looked at, too. */
    memcpy(page + 3 * PAGE, wrpkru, sizeof wrpkru);
    CHECK_EQ(mprotect(page + 3 * PAGE, PAGE, PROT_NONE), 0);
    CHECK_ERRNO(mprotect(page + 3 * PAGE, PAGE, RX), EACCES);
    /* Written by the kernel, once it is executable. */
    int ends[2];
    CHECK_EQ(pipe(ends), 0);
    CHECK_EQ(write(ends[1], wrpkru, sizeof wrpkru), sizeof wrpkru);
    CHECK_ERRNO(read(ends[0], page + PAGE, sizeof wrpkru), EFAULT);
    /* From a file, whose pages can change behind the mapping. */
    int file = memfd_create("code", 0);
    CHECK_EQ(write(file, wrpkru, sizeof wrpkru), sizeof wrpkru);
    CHECK(mmap(NULL, PAGE, RX, MAP_PRIVATE, file, 0) == MAP_FAILED);
    CHECK(mmap(NULL, PAGE, RX, MAP_SHARED, file, 0) == MAP_FAILED);
    void* mapped = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, file, 0);
    CHECK(mapped != MAP_FAILED);
    CHECK_ERRNO(mprotect(mapped, PAGE, RX), EACCES);

    /* And what is harmless runs. */
    memcpy(page + 2 * PAGE, (unsigned char[]) { 0xb8, 42, 0, 0, 0, 0xc3 }, 6);
    CHECK_EQ(mprotect(page + 2 * PAGE, PAGE, RX), 0);
    int (*function)(void) = (int (*)(void))(void*)(page + 2 * PAGE);
    CHECK_EQ(function(), 42);
    return check_result();
}
