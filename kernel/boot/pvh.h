// The PVH boot protocol's start information (Xen, public/arch-x86/hvm/start_info.h), read with suspicion: whatever
// pointers it holds are checked before they are followed.
#pragma once

#include "boot/boot_info.h"

namespace eremite {

/// Physical memory that can be read while booting: bytes[0] is at address `base`.
struct PhysicalWindow {
    u64 base { 0 };
    std::span<const u8> bytes;

    /// The part [address, address + length), or an empty span if it doesn't lie inside.
    std::span<const u8> at(u64 address, u64 length) const
    {
        if (length == 0 || address < base || address - base >= bytes.size() || length > bytes.size() - (address - base))
            return {};
        return bytes.subspan(address - base, length);
    }
};

/// Fills ranges, command_line (pointing into the window), initrd and rsdp of `info` from the structure at `start_info`.
/// Returns what is wrong, or an empty text.
std::string_view parse_pvh(const PhysicalWindow& window, u64 start_info, BootInfo& info);

} // namespace eremite
