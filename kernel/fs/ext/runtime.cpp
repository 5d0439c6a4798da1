// What libext2fs asks of a C library, under the names that its build (libc/ext2fs) gives them: memory from the kernel's
// heap, texts, the time, sorting. Nothing is printed, there is no environment, and an assertion of its ends the
// machine.
#include "base/assert.h"
#include "base/owned.h"
#include "sched/clock.h"

#include <algorithm>

namespace {

using namespace eremite;

/// Before each piece of memory: how long it is, as C's free() isn't told.
struct Head {
    usize size;
    usize padding;
};

#pragma clang unsafe_buffer_usage begin // C's interface: memory with a head before it, texts that end with NUL

void* allocate(usize size)
{
    if (size > 1_GiB)
        return nullptr;
    auto* head = static_cast<Head*>(kmalloc(size + sizeof(Head)));
    if (!head)
        return nullptr;
    head->size = size;
    return head + 1;
}

} // namespace

extern "C" {

[[gnu::visibility("hidden")]] void* __eremite_ext2_malloc(usize size)
{
    return allocate(size);
}

[[gnu::visibility("hidden")]] void __eremite_ext2_free(void* memory)
{
    if (!memory)
        return;
    Head* head = static_cast<Head*>(memory) - 1;
    kfree(head, head->size + sizeof(Head));
}

[[gnu::visibility("hidden")]] void* __eremite_ext2_calloc(usize count, usize size)
{
    usize bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        return nullptr;
    void* memory = allocate(bytes);
    if (memory)
        __builtin_memset(memory, 0, bytes);
    return memory;
}

[[gnu::visibility("hidden")]] void* __eremite_ext2_realloc(void* memory, usize size)
{
    void* moved = allocate(size);
    if (!moved || !memory)
        return moved;
    __builtin_memcpy(moved, memory, std::min(size, (static_cast<Head*>(memory) - 1)->size));
    __eremite_ext2_free(memory);
    return moved;
}

[[gnu::visibility("hidden")]] usize __eremite_ext2_strnlen(const char* text, usize most)
{
    usize length = 0;
    while (length < most && text[length] != 0)
        ++length;
    return length;
}

[[gnu::visibility("hidden")]] int __eremite_ext2_strncmp(const char* first, const char* second, usize most)
{
    for (usize i = 0; i < most; ++i) {
        const int difference = static_cast<u8>(first[i]) - static_cast<u8>(second[i]);
        if (difference != 0 || first[i] == 0)
            return difference;
    }
    return 0;
}

[[gnu::visibility("hidden")]] int __eremite_ext2_strcmp(const char* first, const char* second)
{
    return __eremite_ext2_strncmp(first, second, SIZE_MAX);
}

[[gnu::visibility("hidden")]] char* __eremite_ext2_strchr(const char* text, int wanted)
{
    for (;; ++text) {
        if (*text == static_cast<char>(wanted))
            return const_cast<char*>(text);
        if (*text == 0)
            return nullptr;
    }
}

[[gnu::visibility("hidden")]] char* __eremite_ext2_strcpy(char* destination, const char* source)
{
    for (usize i = 0;; ++i) {
        destination[i] = source[i];
        if (source[i] == 0)
            return destination;
    }
}

[[gnu::visibility("hidden")]] char* __eremite_ext2_strncpy(char* destination, const char* source, usize size)
{
    const usize length = __eremite_ext2_strnlen(source, size);
    __builtin_memcpy(destination, source, length);
    __builtin_memset(destination + length, 0, size - length);
    return destination;
}

[[gnu::visibility("hidden")]] char* __eremite_ext2_strcat(char* destination, const char* source)
{
    __eremite_ext2_strcpy(destination + __eremite_ext2_strnlen(destination, SIZE_MAX), source);
    return destination;
}

/// By insertion: what the library sorts is short.
[[gnu::visibility("hidden")]] void __eremite_ext2_qsort(
    void* base, usize count, usize size, int (*compare)(const void*, const void*))
{
    auto* bytes = static_cast<u8*>(base);
    for (usize i = 1; i < count; ++i) {
        for (usize j = i; j > 0 && compare(bytes + (j - 1) * size, bytes + j * size) > 0; --j)
            std::swap_ranges(bytes + (j - 1) * size, bytes + j * size, bytes + j * size);
    }
}
#pragma clang unsafe_buffer_usage end

[[gnu::visibility("hidden")]] long __eremite_ext2_time(long*)
{
    return realtime_now().value() / 1'000'000'000;
}

[[gnu::visibility("hidden")]] char* __eremite_ext2_getenv(const char*)
{
    return nullptr;
}

[[gnu::visibility("hidden")]] unsigned long __eremite_ext2_strtoul(const char*, char**, int)
{
    return 0;
}

[[gnu::visibility("hidden")]] u32 __eremite_ext2_htonl(u32 value)
{
    return __builtin_bswap32(value);
}

[[gnu::visibility("hidden")]] u32 __eremite_ext2_ntohl(u32 value)
{
    return __builtin_bswap32(value);
}

[[gnu::visibility("hidden")]] int __eremite_ext2_printf(const char*, ...)
{
    return 0;
}

[[gnu::visibility("hidden")]] int __eremite_ext2_puts(const char*)
{
    return 0;
}

[[gnu::visibility("hidden")]] void __eremite_ext2_com_err(const char*, long, const char*, ...) { }

[[gnu::visibility("hidden"), noreturn]] void __eremite_ext2_abort()
{
    panic("libext2fs gave up");
}

[[gnu::visibility("hidden"), noreturn]] void __eremite_ext2___assert_fail(const char*, const char*, int, const char*)
{
    panic("an assertion in libext2fs failed");
}

/// How it would reach a journal on a device of its own: it can't.
[[gnu::visibility("hidden")]] constinit void* __eremite_ext2_unix_io_manager = nullptr;
}
