// Which processors there are, starting them, and calling functions on them. Private to arch/aarch64.
#pragma once

#include "base/types.h"

namespace eremite::arch {

/// MPIDR affinity fields of processor `cpu` (0: the boot processor), as the device tree lists them.
u64 processor_identity(u32 cpu);
/// Handlers of the inter-processor interrupts.
void initialize_processor_calls();
/// An LPI came in (its.cpp).
void run_message_handler(u32 number);

} // namespace eremite::arch
