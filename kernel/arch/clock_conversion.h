// From a cycle counter to time, in 64.64 fixed point: no division, and fine enough that years add up to nothing. The
// time page (syscall/time_page.h) hands the same figures to the application, so that both sides agree.
#pragma once

#include "base/types.h"

namespace eremite::arch {

/// time = base + (counter - base_cycles) * multiplier, for the next `valid_for` cycles from base_cycles.
struct ClockConversion {
    u64 base_cycles { 0 };
    u64 valid_for { 0 };
    u64 multiplier { 0 }; // 2^-64 s per cycle
    u64 base_seconds { 0 };
    u64 base_fraction { 0 }; // 2^-64 s

    Nanoseconds at(u64 cycles_since_base) const
    {
        using u128 = unsigned __int128;
        const u128 time = static_cast<u128>(cycles_since_base) * multiplier
            + (static_cast<u128>(base_seconds) << 64 | base_fraction);
        const auto nanoseconds
            = static_cast<u64>(static_cast<u128>(static_cast<u64>(time)) * Nanoseconds::k_per_second >> 64);
        return Nanoseconds(static_cast<i64>(static_cast<u64>(time >> 64) * Nanoseconds::k_per_second + nanoseconds));
    }
};

} // namespace eremite::arch
