// read() and write(), linked in place of libc's as clock_gettime is (application_clock.cpp): libc's keep registers for
// the case that the thread is cancelled, and set errno out of line.
#include "base/types.h"

extern "C" {
#pragma GCC visibility push(hidden)
long __eremite_sys_read(long fd, long buffer, long count);
long __eremite_sys_write(long fd, long buffer, long count);
// libc's: set by the first pthread_cancel (libc/musl/overlay/arch/generic/syscall_arch.h).
struct __cancellation {
    long (*enter)(long number);
    int (*interrupted)(long number, long* result);
};
extern const __cancellation* volatile __cancellation_hooks __asm__("__cancellation");
long __syscall_ret(unsigned long result);
// Labels, as headers declare them with types that aren't ours; weak, as a program may have one of them for itself.
[[gnu::weak]] long __eremite_application_read(int fd, void* buffer, unsigned long count) __asm__("read");
[[gnu::weak]] long __eremite_application_write(int fd, const void* buffer, unsigned long count) __asm__("write");
#pragma GCC visibility pop
}

namespace {

struct Call {
    long fd;
    long buffer;
    long count;
};

/// What libc's do with cancellation: `result` is that of the call, if it has been made.
template<auto Gate>
[[gnu::noinline, gnu::section(".application_text.read_write")]] long finish(
    const volatile Call& call, long result, bool made)
{
    constexpr long interrupted = -4; // EINTR
    // Which call it is concerns those hooks for close() only.
    const __cancellation* hooks = __cancellation_hooks;
    if (!made && hooks && (result = hooks->enter(0)) != 0)
        return __syscall_ret(static_cast<unsigned long>(result));
    do {
        if (!made)
            result = Gate(call.fd, call.buffer, call.count);
        made = false;
    } while (result == interrupted && (hooks = __cancellation_hooks) && hooks->interrupted(0, &result) != 0);
    return __syscall_ret(static_cast<unsigned long>(result));
}

template<auto Gate> [[gnu::always_inline]] inline long transfer(long fd, long buffer, long count)
{
    // In memory, where they cost less than registers that are kept over the call.
    const volatile Call call { .fd = fd, .buffer = buffer, .count = count };
    if (__cancellation_hooks) [[unlikely]]
        return finish<Gate>(call, 0, false);
    long result = Gate(fd, buffer, count);
    if (result < 0) [[unlikely]]
        return finish<Gate>(call, result, true);
    return result;
}

} // namespace

[[gnu::section(".application_text.read_write")]] long __eremite_application_read(
    int fd, void* buffer, unsigned long count)
{
    return transfer<&__eremite_sys_read>(fd, reinterpret_cast<long>(buffer), static_cast<long>(count));
}

[[gnu::section(".application_text.read_write")]] long __eremite_application_write(
    int fd, const void* buffer, unsigned long count)
{
    return transfer<&__eremite_sys_write>(fd, reinterpret_cast<long>(buffer), static_cast<long>(count));
}
