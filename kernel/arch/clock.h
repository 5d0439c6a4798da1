// Clocks and the one-shot timer of a processor.
#pragma once

#include "arch/clock_conversion.h"
#include "base/component.h"
#include "base/types.h"

namespace eremite::arch {

/// Calibrates, without busy-waiting where the hardware or hypervisor tells the rate. Before this, now() is 0.
void initialize_clock();
/// Monotonic time since boot. Callable from anywhere, also by the application's thread through the system call.
Nanoseconds now();
/// How now() converts cycle_counter() at present.
ClockConversion clock_conversion();
/// `listener` is called whenever that changes, with interrupts off.
void set_clock_listener(void (*listener)());
/// Wall-clock time at boot, in seconds since 1970 (RTC, PL031, pvclock); 0 when there is none.
i64 boot_wall_seconds();
/// Sets this processor's timer interrupt to `deadline` (monotonic; Nanoseconds::max() = none). Replaces the last one.
/// Its interrupt calls timer_interrupt().
void set_timer(Nanoseconds deadline);

} // namespace eremite::arch

namespace eremite {
/// In the image where something asks for the time, or waits for one.
struct ClockPart {
    void (*initialize)();
    Nanoseconds (*now)();
};
ER_DECLARE_PART(ClockPart, clock);
/// Defined by sched/: the one-shot timer fired. Interrupt context.
void timer_interrupt();
} // namespace eremite
