// Times as system calls take and give them.
#pragma once

#include "abi/process.h"
#include "base/result.h"
#include "syscall/user_pointer.h"

namespace eremite {

/// EINVAL: negative, or nanoseconds out of range.
inline Result<Nanoseconds> to_nanoseconds(const abi::TimeSpec& time)
{
    if (time.seconds < 0 || time.nanoseconds < 0 || time.nanoseconds >= 1'000'000'000)
        return Errno::EINVAL;
    if (time.seconds >= INT64_MAX / 1'000'000'000)
        return Nanoseconds::max(); // some 292 years: never
    return Nanoseconds(time.seconds * 1'000'000'000 + time.nanoseconds);
}

inline Result<Nanoseconds> to_nanoseconds(const abi::TimeVal& time)
{
    if (time.microseconds < 0 || time.microseconds >= 1'000'000)
        return Errno::EINVAL;
    return to_nanoseconds(abi::TimeSpec { time.seconds, time.microseconds * 1000 });
}

inline abi::TimeSpec to_time_spec(Nanoseconds time)
{
    return { time.value() / 1'000'000'000, time.value() % 1'000'000'000 };
}

inline abi::TimeVal to_time_val(Nanoseconds time)
{
    return { time.value() / 1'000'000'000, time.value() % 1'000'000'000 / 1000 };
}

} // namespace eremite
