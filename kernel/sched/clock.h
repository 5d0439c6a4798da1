// Time of day and monotonic time, for the kernel and for clock_gettime.
#pragma once

#include "arch/clock.h"

namespace eremite {

/// Since boot; CLOCK_MONOTONIC.
inline Nanoseconds monotonic_now()
{
    return arch::now();
}
/// Since 1970; CLOCK_REALTIME. Lock-free.
Nanoseconds realtime_now();
/// Sets the wall clock (clock_settime).
void set_realtime(Nanoseconds since_1970);

} // namespace eremite
