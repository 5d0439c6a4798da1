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
/// Wall time when monotonic_now() was 0; 0 as long as nobody has asked for the time of day.
Nanoseconds realtime_offset();
/// `listener` is called whenever that changes.
void set_realtime_listener(void (*listener)());

} // namespace eremite
