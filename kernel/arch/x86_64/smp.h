// The processors by number. Private to arch/x86_64.
#pragma once

#include "arch/cpu.h"

namespace eremite::arch {

/// Null: no such processor, or it isn't up.
PerCpu* cpu_by_number(u32 number);
void set_cpu(u32 number, PerCpu& cpu);

} // namespace eremite::arch
