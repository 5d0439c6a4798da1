// What the kernel demands of the machine, made of the C library of the test process.
#include "arch/clock.h"
#include "arch/cpu.h"
#include "arch/user_copy.h"
#include "base/assert.h"
#include "base/owned.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <time.h>

namespace eremite {

void panic(const char* message, const char* file, int line)
{
    std::fprintf(stderr, "panic: %s (%s:%d)\n", message, file ? file : "?", line);
    std::abort();
}

void* kmalloc(usize size, usize alignment)
{
    return std::aligned_alloc(alignment, align_up(size == 0 ? 1 : size, alignment));
}

void kfree(void* pointer, usize)
{
    std::free(pointer);
}

} // namespace eremite

namespace eremite::arch {

[[gnu::weak]] Nanoseconds now()
{
    timespec time {};
    clock_gettime(CLOCK_MONOTONIC, &time);
    return Nanoseconds::from_seconds(time.tv_sec) + Nanoseconds(time.tv_nsec);
}

usize copy_user(void* destination, const void* source, usize length)
{
    std::memcpy(destination, source, length);
    return 0;
}

usize clear_user(void* destination, usize length)
{
    std::memset(destination, 0, length);
    return 0;
}

isize user_string_length(const char* source, usize limit)
{
    return static_cast<isize>(strnlen(source, limit));
}

bool compare_exchange_user(u32* target, u32& expected, u32 desired)
{
    std::atomic_ref(*target).compare_exchange_strong(expected, desired);
    return true;
}

bool load_user(const u32* source, u32& value)
{
    value = std::atomic_ref(*const_cast<u32*>(source)).load();
    return true;
}

} // namespace eremite::arch
