// What every boot protocol (PVH, the loader, Image with device tree) is turned into before anything else looks at it.
#pragma once

#include "base/types.h"
#include <array>
#include <span>
#include <string_view>

namespace eremite {

enum class MemoryKind : u8 { Reserved, Usable, AcpiTables, Device };

struct MemoryRange {
    PhysicalRange range;
    MemoryKind kind { MemoryKind::Reserved };
};

/// Plain data; everything it points to lies in memory that the frame allocator keeps its hands off.
struct BootInfo {
    static constexpr usize k_max_ranges = 64;

    std::array<MemoryRange, k_max_ranges> ranges {};
    u32 range_count { 0 };
    std::string_view command_line; // kernel options, then " -- ", then the program's arguments
    PhysicalRange initrd; // length 0: none
    PhysicalAddress rsdp; // null: none
    PhysicalRange device_tree; // length 0: none
    PhysicalRange image; // where our own segments lie
    std::array<u8, 32> seed {}; // from the boot protocol (rng-seed, setup data)
    u32 seed_length { 0 };
    u64 entry_cycles { 0 }; // cycle counter at the very first instruction

    std::span<const MemoryRange> memory() const { return std::span(ranges).first(range_count); }
};

/// The one instance, filled before main.cpp's kernel_main runs.
BootInfo& boot_info();

} // namespace eremite
