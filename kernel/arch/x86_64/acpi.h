// As much of the firmware's tables as we need (ACPI 6.5, 5.2). Private to arch/x86_64.
#pragma once

#include "base/types.h"
#include <span>

namespace eremite::arch {

/// The APIC ids of the enabled processors, in the table's order; only the running one where there is no table.
std::span<const u32> acpi_processors();

} // namespace eremite::arch
