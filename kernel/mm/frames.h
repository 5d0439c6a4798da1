// Physical memory in frames of 4 KiB: a buddy allocator over the ranges that boot found. A frame has one owner.
#pragma once

#include "base/result.h"
#include "base/types.h"
#include "boot/boot_info.h"

namespace eremite {

inline constexpr unsigned k_max_order = 10; // 4 MiB

/// Where physical memory is visible to the kernel (direct map); valid after initialize_memory().
void* direct_map(PhysicalAddress address);
PhysicalAddress direct_map_to_physical(const void* pointer);

/// 2^order contiguous frames, aligned to their size; contents are whatever was there. ENOMEM. Any context but
/// interrupt handlers that came while the allocator's lock was held (the lock disables interrupts).
Result<PhysicalAddress> allocate_frames(unsigned order);
/// Likewise one frame, filled with zero.
Result<PhysicalAddress> allocate_zeroed_frame();
void free_frames(PhysicalAddress start, unsigned order);

struct FrameStatistics {
    usize total { 0 };
    usize free { 0 };
};
FrameStatistics frame_statistics();

/// Takes over all usable memory of `info`, except the image, the initrd and the early page tables; lazily: costs no time
/// per frame. Panics with a message that names the fault if the map is empty or too small to run in.
void initialize_memory(const BootInfo& info);

} // namespace eremite
