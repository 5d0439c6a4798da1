// Power State Coordination Interface (Arm DEN 0022), by the conduit that the device tree names. Private to
// arch/aarch64.
#pragma once

#include "base/types.h"

extern "C" [[gnu::visibility("hidden")]] void __eremite_secondary_entry();

namespace eremite::arch {

/// 0, or PSCI's error.
i64 psci_start_processor(u64 identity, u64 physical_entry, u64 argument);
/// Returns only if there is no PSCI.
void psci_power_off();

} // namespace eremite::arch
