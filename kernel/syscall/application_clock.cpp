// The application's end of the time page: clock_gettime without a system call. It is linked in place of libc's, which
// the linker would find later (libc/sdk.sh), under the same conditions: a program's own function of that name goes
// first. It is part of the program's text, and runs on its stack and with its rights, outside of any gate.
#include "syscall/time_page.h"

#include "abi/process.h"
#include "arch/cpu.h"
#include "base/component.h"

extern "C" {
#pragma GCC visibility push(hidden)
extern const eremite::TimePage __eremite_time_page;
long __eremite_sys_clock_gettime(long clock, long time);
long __syscall_ret(unsigned long result); // libc's: sets errno
// Under libc's two names, of which it calls the former itself, and the latter alone may be the program's. Headers may
// have declared them, with types that aren't ours.
int __eremite_clock_gettime(int clock, eremite::abi::TimeSpec* time) __asm__("__clock_gettime");
[[gnu::weak, gnu::alias("__clock_gettime")]] int __eremite_weak_clock_gettime(
    int clock, eremite::abi::TimeSpec* time) __asm__("clock_gettime");
#pragma GCC visibility pop
}

namespace eremite {

namespace {

/// False: the page doesn't tell just now.
[[gnu::always_inline]] inline bool read_clock(const TimePage& page, const TimePage::Clock& clock, abi::TimeSpec& result)
{
    using u128 = unsigned __int128;
    const u32 sequence = page.sequence.load(std::memory_order_acquire);
    const u64 elapsed = arch::ordered_cycle_counter() - page.base_cycles.load(std::memory_order_relaxed);
    // Also while the page is being written, and before it is; and if this processor's counter is behind.
    if (elapsed >= clock.valid_for.load(std::memory_order_acquire)) [[unlikely]]
        return false;
    const u128 time = static_cast<u128>(elapsed) * page.multiplier.load(std::memory_order_relaxed)
        + (static_cast<u128>(clock.seconds.load(std::memory_order_relaxed)) << 64
            | clock.fraction.load(std::memory_order_relaxed));
    std::atomic_thread_fence(std::memory_order_acquire);
    if (page.sequence.load(std::memory_order_relaxed) != sequence) [[unlikely]]
        return false;
    result.seconds = static_cast<i64>(time >> 64);
    result.nanoseconds = static_cast<i64>(static_cast<u128>(static_cast<u64>(time)) * Nanoseconds::k_per_second >> 64);
    return true;
}

} // namespace

} // namespace eremite

[[gnu::section(".application_text.clock")]] int __eremite_clock_gettime(int clock, eremite::abi::TimeSpec* time)
{
    using namespace eremite;
    ER_NEEDS(time_page);
    constexpr u32 monotonic = 1u << abi::k_clock_monotonic | 1u << abi::k_clock_monotonic_raw
        | 1u << abi::k_clock_monotonic_coarse | 1u << abi::k_clock_boottime | 1u << abi::k_clock_boottime_alarm;
    constexpr u32 realtime = 1u << abi::k_clock_realtime | 1u << abi::k_clock_realtime_coarse
        | 1u << abi::k_clock_realtime_alarm | 1u << abi::k_clock_tai;
    const TimePage& page = __eremite_time_page;
    if (clock == abi::k_clock_monotonic && read_clock(page, page.monotonic, *time)) [[likely]]
        return 0;
    if (static_cast<u32>(clock) < 32) [[likely]] {
        const u32 bit = 1u << clock;
        if ((monotonic & bit) != 0 && read_clock(page, page.monotonic, *time)) [[likely]]
            return 0;
        if ((realtime & bit) != 0 && read_clock(page, page.realtime, *time)) [[likely]]
            return 0;
    }
    return static_cast<int>(
        __syscall_ret(static_cast<unsigned long>(__eremite_sys_clock_gettime(clock, reinterpret_cast<long>(time)))));
}
