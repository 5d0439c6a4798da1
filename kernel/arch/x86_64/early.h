// The first C++ code: from physical addresses to the relocated, mapped image. Private to arch/x86_64.
#pragma once

#include "arch/paging.h"
#include "base/types.h"
#include "boot/boot_info.h"
#include <string_view>

namespace eremite::arch {

/// Prints a line on the serial port and ends with the status of a panic. Works at any time.
[[noreturn]] void early_fatal(std::string_view message);

/// Memory right after the image, which boot takes what it needs for good from (page tables, the command line). What is
/// taken counts as part of BootInfo::image.
class BootMemory {
public:
    /// Zeroed pages; null if there aren't so many.
    u8* take_pages(usize count);
    /// Where a physical page is visible now: one to one at first, then in the direct map.
    u64 window { 0 };
    u64 next { 0 };
    u64 end { 0 };
};
BootMemory& boot_memory();

/// A random number for what must be decided before the generator is there; mixes in the processor's generator, where
/// there is one, and the time.
u64 early_random();

/// Maps pages of the first tables, which it makes. Physical memory below 1 GiB.
void map_early_pages(u64 virtual_start, u64 physical, u64 length, PageAttributes attributes);
/// Changes how one page of the image, the kernel's half or a guard page is mapped; 0: not at all. Tables must exist.
void set_early_entry(u64 address, u64 entry);

} // namespace eremite::arch
