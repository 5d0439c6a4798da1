// The first C++ code: from physical addresses to the relocated, mapped image. Private to arch/aarch64.
#pragma once

#include "base/types.h"
#include "boot/boot_info.h"
#include "device/device_tree.h"
#include <string_view>

namespace eremite::arch {

/// Where QEMU's virt machine has its UART: for complaints about a device tree that doesn't tell.
inline constexpr u64 k_fallback_uart = 0x0900'0000;

/// How PSCI is called.
enum class Conduit : u8 { None, Hvc, Smc };

/// What the rest of the architecture keeps from early boot. Addresses are physical unless they say otherwise.
struct Platform {
    u64 uart { 0 }; // virtual: PL011's registers, as mapped now
    bool is_mapped { false }; // the image runs at its own addresses
    Conduit conduit { Conduit::None };
    bool semihosting { false }; // exit=semihosting
    bool entered_at_el2 { false };
    u64 image_offset { 0 }; // virtual minus physical
    u64 identity_root { 0 }; // a TTBR0 that maps the image at both of its addresses, for processors that start
};
Platform& platform();

/// Fills console, conduit and semihosting of `platform`, at physical addresses.
void read_platform(const DeviceTree& tree, std::string_view command_line, Platform& platform);
/// The PL011 that /chosen names, or the first.
DeviceTree::Node find_console(const DeviceTree& tree);
/// Whether an option without a value stands before the ` -- ` of a command line that has not been taken apart yet.
bool has_option(std::string_view command_line, std::string_view name);

/// The device tree that the machine came with, in the direct map. Checked; empty (no root) before early boot is over.
const DeviceTree& device_tree();

/// Prints a line on the serial port and ends with the status of a panic. Works at any time.
[[noreturn]] void early_fatal(std::string_view message);

struct PerCpu;
/// Sets this processor's vectors, entry stack and per-processor block. `entry_stack_top` is the end of its entry stack
/// of k_kernel_stack_size bytes.
void adopt_processor(PerCpu& cpu, u64 entry_stack_top);
/// Turns on what the tables' makers rely on: WXN, pointer authentication with the keys of this boot.
void harden_processor();

} // namespace eremite::arch
