// The machine's power button: what a monitor presses to ask the guest to end (QEMU: system_powerdown).
#pragma once

#include "base/result.h"

namespace eremite::arch {

/// Has `pressed` called, in interrupt context, whenever it is pressed. Once. ENODEV: the machine has none.
Result<> watch_power_button(void (*pressed)());

} // namespace eremite::arch
