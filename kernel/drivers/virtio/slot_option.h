// The command line option that names a memory-mapped virtio device.
#pragma once

#include "arch/devices.h"
#include "base/result.h"
#include <string_view>

namespace eremite::virtio {

/// SIZE@ADDRESS:INTERRUPT[:ID]; numbers in decimal or, with 0x, hexadecimal; SIZE may end in K or M. EINVAL.
Result<arch::VirtioMmioSlot> parse_slot_option(std::string_view text);

} // namespace eremite::virtio
