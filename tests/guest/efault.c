// Pointers that are not the application's memory give EFAULT, and the kernel survives.
// oracle: native
#include "check.h"

#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

int main(void)
{
    int descriptor[2];
    CHECK_EQ(pipe(descriptor), 0);
    CHECK_EQ(write(descriptor[1], "abcdefgh", 8), 8);
    /* Null, unmapped, the kernel's half, and wrapping around the end. */
    uintptr_t bad[] = { 0, 8, 0xffff800000000000u, 0xffffffffffffffffu - 100, 0x7ffffffff000u };
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK_ERRNO(read(descriptor[0], (void*)bad[i], 4), EFAULT);
        CHECK_ERRNO(write(descriptor[1], (const void*)bad[i], 4), EFAULT);
        struct iovec vector = { (void*)bad[i], 4 };
        CHECK_ERRNO(readv(descriptor[0], &vector, 1), EFAULT);
        CHECK_ERRNO(pipe((int*)bad[i]), EFAULT);
        CHECK_ERRNO(nanosleep((const struct timespec*)bad[i], NULL), EFAULT);
    }
    void* page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(page != MAP_FAILED);
    CHECK_EQ(mprotect(page, 4096, PROT_READ), 0);
    CHECK_ERRNO(read(descriptor[0], page, 4), EFAULT);
    char buffer[8] = "";
    CHECK_EQ(read(descriptor[0], buffer, 8), 8);
    CHECK_EQ(memcmp(buffer, "abcdefgh", 8), 0);
    return check_result();
}
