// The calls that programs make most, as the gates hold them: inlined there, for a call and a return more would be a
// good part of what they cost (docs/costs.md). The sys_* of the same names are these, too.
#pragma once

#include "arch/paging.h"
#include "base/component.h"
#include "file/file.h"
#include "sched/futex.h"
#include "syscall/sys_file.h"
#include "syscall/sys_futex.h"
#include <algorithm>
#include <bit>

namespace eremite {

/// What a gate calls for a sys_*.
template<auto Function> inline constexpr auto k_gate_function = Function;

[[gnu::always_inline]] inline Result<long> read_now(int fd, UserPointer<u8> buffer, usize count)
{
    ER_NEEDS(terminal);
    [[clang::always_inline]] return BorrowedFile::with(
        fd, [=](File& file) __attribute__((always_inline)) -> Result<long> {
            // An access mode of 3 is for neither reading nor writing.
            if ((file.flags() & (abi::k_o_wronly | abi::k_o_path)) != 0)
                return Errno::EBADF;
            return static_cast<long>(TRY(file.read(UserBytes(buffer, std::min(count, abi::k_max_transfer)))));
        });
}
template<> inline constexpr auto k_gate_function<&sys_read> = &read_now;
RESTARTS(read_now);

[[gnu::always_inline]] inline Result<long> write_now(int fd, UserPointer<u8> buffer, usize count)
{
    [[clang::always_inline]] return BorrowedFile::with(
        fd, [=](File& file) __attribute__((always_inline)) -> Result<long> {
            if (((file.flags() + 1) & (abi::k_o_rdwr | abi::k_o_path)) != abi::k_o_rdwr)
                return Errno::EBADF;
            return static_cast<long>(TRY(file.write(UserBytes(buffer, std::min(count, abi::k_max_transfer)))));
        });
}
template<> inline constexpr auto k_gate_function<&sys_write> = &write_now;
RESTARTS(write_now);

/// Everything but a wake that finds nobody; and that, too.
Result<long> futex_operation(u64 address, int operation, u32 value, u64 timeout_or_count, u64 second, u32 third);

[[gnu::always_inline]] inline Result<long> futex_now(
    u64 address, int operation, u32 value, u64 timeout_or_count, u64 second, u32 third)
{
    // Each unlock of a mutex that was waited for ends here, mostly for nothing. The word isn't touched: that it is
    // aligned (or the low bits would be at the top) and where an application's may be is enough.
    const bool is_wake = (operation & ~abi::k_futex_private_flag) == abi::k_futex_wake;
    if (std::rotr(address, 2) < arch::address_layout().application_end / 4 && is_wake
        && !futex_may_have_waiters(address)) [[likely]]
        return 0;
    return futex_operation(address, operation, value, timeout_or_count, second, third);
}
template<> inline constexpr auto k_gate_function<&sys_futex> = &futex_now;

} // namespace eremite
