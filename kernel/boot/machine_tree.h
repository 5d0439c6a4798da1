// What a device tree tells a boot: memory, command line, initrd, random seed. The counterpart of boot/pvh.h; the tree
// has been checked as such (device/device_tree.h), what it says has not.
//
// Runs before the image is relocated too. No allocation, no locks.
#pragma once

#include "boot/boot_info.h"
#include "device/device_tree.h"

namespace eremite {

/// `limit`: memory from there on is none to us. Fills ranges, command_line (pointing into the tree), initrd and seed of
/// `info`. Of each piece of memory, the ranges follow one another in ascending order; the tree's own place,
/// info.device_tree, and what the tree reserves are ranges of their own (Reserved; Device where the tree says that it
/// must not be mapped). Returns what is wrong, or an empty text.
std::string_view parse_machine_tree(const DeviceTree& tree, u64 limit, BootInfo& info);

/// Where /chosen says that the initrd is; length 0: there is none.
PhysicalRange initrd_of(const DeviceTree& tree);

} // namespace eremite
