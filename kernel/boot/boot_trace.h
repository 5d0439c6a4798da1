// When each stage of the boot was done: command line `boot-trace`.
#pragma once

#include "base/types.h"
#include <string_view>

namespace eremite {

/// Notes that `stage` is done now. Keeps the first 32.
void boot_trace(const char* stage);
/// Prints the stages: cycles since the first instruction, cycles of the stage and, in an image that has a
/// clock, microseconds of it.
void print_boot_trace();

} // namespace eremite
