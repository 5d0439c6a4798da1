// As much of the firmware's tables as we need (ACPI 6.5, 5.2). Private to arch/x86_64.
#pragma once

#include "base/types.h"
#include <span>
#include <string_view>

namespace eremite::arch {

/// The APIC ids of the enabled processors, in the table's order; only the running one where there is no table.
std::span<const u32> acpi_processors();

/// The table with that signature ("MCFG"), checked; empty if there is none. "DSDT" is found through the FADT.
std::span<const u8> acpi_table(std::string_view signature);

} // namespace eremite::arch
