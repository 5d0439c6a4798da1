// Registers of devices in the kernel's half of the address space.
#pragma once

#include "arch/paging.h"
#include "base/result.h"
#include "base/types.h"

namespace eremite {

/// Maps [range.start, range.end()) for good, uncached and never executed, and returns where range.start is visible.
/// The range need not begin or end on a page. ENOMEM; EINVAL for a range that wraps or is no physical address.
Result<void*> map_device_memory(PhysicalRange range, arch::CacheMode mode = arch::CacheMode::Uncached);

} // namespace eremite
