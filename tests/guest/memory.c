// Anonymous memory: mmap and its family as Linux documents them.
// machines: q35 virt
// oracle: native
#define _GNU_SOURCE
#include "check.h"

#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096ul

static char* map(size_t pages, int protection)
{
    char* p = mmap(NULL, pages * PAGE, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) {
        perror("mmap");
        exit(2);
    }
    return p;
}

static int is_resident(void* page)
{
    unsigned char vector = 0;
    return mincore(page, PAGE, &vector) == 0 && (vector & 1);
}

static void demand_zero(void)
{
    char* p = map(10, PROT_READ | PROT_WRITE);
    CHECK_EQ((uintptr_t)p % PAGE, 0);
    CHECK(!is_resident(p + 5 * PAGE));
    CHECK_EQ(p[5 * PAGE + 17], 0);
    CHECK(is_resident(p + 5 * PAGE));
    memset(p, 0x5a, 10 * PAGE);
    CHECK_EQ(p[9 * PAGE], 0x5a);
    CHECK_EQ(munmap(p, 10 * PAGE), 0);
    char* q = map(10, PROT_READ | PROT_WRITE);
    for (size_t i = 0; i < 10 * PAGE; i += 512)
        CHECK_EQ(q[i], 0);
    munmap(q, 10 * PAGE);
}

static void arguments(void)
{
    CHECK_ERRNO((intptr_t)mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), EINVAL);
    CHECK_ERRNO((intptr_t)mmap(NULL, PAGE, PROT_READ, MAP_ANONYMOUS, -1, 0), EINVAL);
    CHECK_ERRNO((intptr_t)mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, 1000, 0), EBADF);
    CHECK_ERRNO((intptr_t)mmap((void*)123, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0), EINVAL);
    CHECK_ERRNO((intptr_t)mmap(NULL, (size_t)1 << 62, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), ENOMEM);
    CHECK_ERRNO(munmap((void*)123, PAGE), EINVAL);
    CHECK_ERRNO(munmap((void*)PAGE, 0), EINVAL);
    CHECK_ERRNO(madvise((void*)123, PAGE, MADV_DONTNEED), EINVAL);
    char* p = map(2, PROT_READ);
    CHECK_ERRNO(madvise(p, PAGE, 12345), EINVAL);
    munmap(p + PAGE, PAGE);
    unsigned char vector[2];
    CHECK_ERRNO(mprotect(p, 2 * PAGE, PROT_READ), ENOMEM);
    CHECK_ERRNO(mincore(p, 2 * PAGE, vector), ENOMEM);
    CHECK_ERRNO(mincore(p, PAGE, (unsigned char*)8), EFAULT);
    CHECK_ERRNO(msync(p, PAGE, MS_ASYNC | MS_SYNC), EINVAL);
    CHECK_ERRNO(msync(p, 2 * PAGE, MS_SYNC), ENOMEM);
    CHECK_EQ(msync(p, PAGE, MS_SYNC), 0);
    CHECK_EQ(munmap(p, 2 * PAGE), 0);
    CHECK_EQ(munmap(p, 2 * PAGE), 0); // what isn't there is no error
}

static void places(void)
{
    char* p = map(8, PROT_READ | PROT_WRITE);
    memset(p, 1, 8 * PAGE);
    char* q = mmap(p + 2 * PAGE, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    CHECK(q == p + 2 * PAGE);
    CHECK_EQ(p[2 * PAGE - 1], 1);
    CHECK_EQ(p[2 * PAGE], 0);
    CHECK_EQ(p[4 * PAGE - 1], 0);
    CHECK_EQ(p[4 * PAGE], 1);
#ifdef MAP_FIXED_NOREPLACE
    CHECK_ERRNO((intptr_t)mmap(p, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0), EEXIST);
    munmap(p, PAGE);
    CHECK(mmap(p, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == p);
#endif
    munmap(p, 8 * PAGE);
    // A hint that is free is taken.
    CHECK(mmap(p, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == p);
    char* other = mmap(p, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(other != MAP_FAILED && other != p);
    munmap(p, PAGE);
    munmap(other, PAGE);
}

static void holes(void)
{
    char* p = map(64, PROT_READ | PROT_WRITE);
    for (int i = 0; i < 64; i++)
        p[i * PAGE] = (char)i;
    for (int i = 1; i < 64; i += 2)
        CHECK_EQ(munmap(p + i * PAGE, PAGE), 0);
    for (int i = 0; i < 64; i += 2)
        CHECK_EQ(p[i * PAGE], i);
    CHECK_EQ(munmap(p, 64 * PAGE), 0);
}

static void large(void)
{
    size_t size = 9 << 20;
    char* p = map(size / PAGE, PROT_READ | PROT_WRITE);
    for (size_t i = 0; i < size; i += PAGE)
        p[i] = (char)(i >> 12);
    for (size_t i = 0; i < size; i += PAGE) {
        if (p[i] != (char)(i >> 12) || p[i + 1] != 0) {
            CHECK(!"content");
            break;
        }
    }
    CHECK_EQ(munmap(p + (5 << 20) + 3 * PAGE, PAGE), 0);
    CHECK_EQ(p[(5 << 20) + 2 * PAGE], (char)((5 << 20) / PAGE + 2));
    CHECK_EQ(mprotect(p + PAGE, 3 << 20, PROT_READ), 0);
    CHECK_EQ(madvise(p, 2 << 20, MADV_DONTNEED), 0);
    CHECK_EQ(p[PAGE], 0);
    CHECK_EQ(p[2 << 20], (char)((2 << 20) / PAGE));
    CHECK_EQ(munmap(p, size), 0);
}

static void advice(void)
{
    char* p = map(4, PROT_READ | PROT_WRITE);
    memset(p, 7, 4 * PAGE);
    CHECK_EQ(madvise(p + PAGE, PAGE, MADV_DONTNEED), 0);
    CHECK_EQ(p[PAGE - 1], 7);
    CHECK_EQ(p[PAGE], 0);
    CHECK_EQ(madvise(p, 4 * PAGE, MADV_WILLNEED), 0);
    CHECK_EQ(madvise(p, 4 * PAGE, MADV_SEQUENTIAL), 0);
    CHECK_EQ(madvise(p, 4 * PAGE, MADV_HUGEPAGE) == 0 || errno == EINVAL, 1);
#ifdef MADV_FREE
    p[2 * PAGE] = 9;
    CHECK_EQ(madvise(p + 2 * PAGE, PAGE, MADV_FREE), 0);
    CHECK(p[2 * PAGE] == 0 || p[2 * PAGE] == 9);
    p[2 * PAGE] = 3;
    CHECK_EQ(p[2 * PAGE], 3);
#endif
    munmap(p + 3 * PAGE, PAGE);
    CHECK_ERRNO(madvise(p, 4 * PAGE, MADV_DONTNEED), ENOMEM);
    CHECK_EQ(p[0], 0);
    munmap(p, 4 * PAGE);
}

static void moving(void)
{
    char* p = map(5, PROT_READ | PROT_WRITE);
    for (int i = 0; i < 4; i++)
        p[i * PAGE] = (char)(i + 1);
    char* wall = mmap(p + 4 * PAGE, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    CHECK(wall == p + 4 * PAGE);
    CHECK_ERRNO((intptr_t)mremap(p, 4 * PAGE, 8 * PAGE, 0), ENOMEM);
    char* q = mremap(p, 4 * PAGE, 8 * PAGE, MREMAP_MAYMOVE);
    CHECK(q != MAP_FAILED && q != p);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(q[i * PAGE], i + 1);
    CHECK_EQ(q[7 * PAGE], 0);
    CHECK(mremap(q, 8 * PAGE, 2 * PAGE, 0) == q);
    CHECK_EQ(q[PAGE], 2);
    char* target = map(2, PROT_READ);
    CHECK(mremap(q, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, target) == target);
    CHECK_EQ(target[PAGE], 2);
    target[0] = 5;
    CHECK_EQ(target[0], 5);
    CHECK_ERRNO((intptr_t)mremap(q, PAGE, 2 * PAGE, MREMAP_MAYMOVE), EFAULT);
    CHECK_ERRNO((intptr_t)mremap(target + 1, PAGE, 2 * PAGE, MREMAP_MAYMOVE), EINVAL);
    CHECK_ERRNO((intptr_t)mremap(target, PAGE, 0, MREMAP_MAYMOVE), EINVAL);
    CHECK_ERRNO((intptr_t)mremap(target, PAGE, PAGE, MREMAP_FIXED, p), EINVAL);
    munmap(target, 2 * PAGE);
    munmap(wall, PAGE);
}

/// MREMAP_DONTUNMAP: the pages go, the mapping stays, empty. Some C libraries take the last argument whatever the flags
/// say.
static void moving_away(void)
{
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif
    const int flags = MREMAP_MAYMOVE | MREMAP_DONTUNMAP;
    char* p = map(6, PROT_READ | PROT_WRITE);
    for (int i = 0; i < 6; i++)
        p[i * PAGE] = (char)(i + 1);
    CHECK_EQ(mlock(p, PAGE), 0);
    char* q = mremap(p + PAGE, 4 * PAGE, 4 * PAGE, flags, NULL);
    CHECK(q != MAP_FAILED && q != p + PAGE);
    for (int i = 0; i < 6; i++)
        CHECK_EQ(p[i * PAGE], i == 0 || i == 5 ? i + 1 : 0);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(q[i * PAGE], i + 2);
    p[PAGE] = 77;
    CHECK_EQ(q[0], 2);
    char* target = map(2, PROT_NONE);
    CHECK(mremap(q + 2 * PAGE, 2 * PAGE, 2 * PAGE, flags | MREMAP_FIXED, target) == target);
    CHECK_EQ(target[0], 4);
    CHECK_EQ(q[2 * PAGE], 0);
    CHECK_EQ(q[PAGE], 3);
    char* r = mremap(p, PAGE, PAGE, flags, NULL);
    CHECK(r != MAP_FAILED && is_resident(r));
    CHECK_ERRNO(madvise(r, PAGE, MADV_DONTNEED), EINVAL); // locked as it was
    CHECK_EQ(madvise(p, PAGE, MADV_DONTNEED), 0); // and what is left isn't
    CHECK_ERRNO((intptr_t)mremap(q, PAGE, PAGE, MREMAP_DONTUNMAP, NULL), EINVAL);
    CHECK_ERRNO((intptr_t)mremap(q, PAGE, 2 * PAGE, flags, NULL), EINVAL);
    CHECK_ERRNO((intptr_t)mremap(q, 2 * PAGE, PAGE, flags, NULL), EINVAL);
    munmap(p, 6 * PAGE);
    CHECK_ERRNO((intptr_t)mremap(p, PAGE, PAGE, flags, NULL), EFAULT);
    munmap(q, 4 * PAGE);
    munmap(r, PAGE);
    munmap(target, 2 * PAGE);
}

static void locking(void)
{
    char* p = map(4, PROT_READ | PROT_WRITE);
    CHECK_EQ(mlock(p, 2 * PAGE), 0);
    CHECK(is_resident(p) && is_resident(p + PAGE) && !is_resident(p + 2 * PAGE));
    CHECK_ERRNO(madvise(p, PAGE, MADV_DONTNEED), EINVAL);
    CHECK_EQ(munlock(p, 4 * PAGE), 0);
    munmap(p + PAGE, PAGE);
    CHECK_ERRNO(mlock(p, 4 * PAGE), ENOMEM);
    munmap(p, 4 * PAGE);
}

static void populate(void)
{
    char* p = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    CHECK(p != MAP_FAILED);
    for (int i = 0; i < 16; i++)
        CHECK(is_resident(p + i * PAGE));
    munmap(p, 16 * PAGE);
}

static void heap(void)
{
    char* start = sbrk(0);
    // musl's sbrk only tells; brk itself is what malloc calls.
    CHECK(start != (char*)-1);
    for (int i = 1; i < 200; i++) {
        char* p = malloc((size_t)i * 977);
        CHECK(p != NULL);
        memset(p, i, (size_t)i * 977);
        if (i % 3 == 0)
            p = realloc(p, (size_t)i * 3001);
        CHECK_EQ(p[i * 977 - 1], (char)i);
        free(p);
    }
}

static void shared(void)
{
    char* p = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    p[PAGE] = 8;
    CHECK_EQ(madvise(p, 3 * PAGE, MADV_DONTNEED), 0);
    CHECK_EQ(p[PAGE], 8);
    CHECK_EQ(mprotect(p, 3 * PAGE, PROT_NONE), 0);
    CHECK_EQ(mprotect(p, 3 * PAGE, PROT_READ), 0);
    CHECK_EQ(p[PAGE], 8);
    munmap(p, 3 * PAGE);
}

int main(void)
{
    demand_zero();
    arguments();
    places();
    holes();
    large();
    advice();
    moving();
    moving_away();
    locking();
    populate();
    heap();
    shared();
    return check_result();
}
