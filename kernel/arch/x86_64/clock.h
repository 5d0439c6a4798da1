// Private to arch/x86_64: what the timer needs of the clock.
#pragma once

#include "base/types.h"

namespace eremite::arch {

/// Begins the measurement of the TSC's rate: the earlier, the better it will be.
void start_clock_reference();
/// The TSC's value at a point of monotonic time.
u64 counter_at(Nanoseconds time);

} // namespace eremite::arch
