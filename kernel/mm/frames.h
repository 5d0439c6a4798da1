// Physical memory in frames of 4 KiB: a buddy allocator over the ranges that boot found. A frame has one owner.
#pragma once

#include "arch/paging.h"
#include "base/result.h"
#include "base/types.h"
#include "boot/boot_info.h"

namespace eremite {

inline constexpr unsigned k_max_order = 10; // 4 MiB

/// Where physical memory is visible to the kernel; boot has mapped all that it lists as usable, except the image.
inline void* direct_map(PhysicalAddress address)
{
    return reinterpret_cast<void*>(arch::address_layout().direct_map + address.value());
}
inline PhysicalAddress direct_map_to_physical(const void* pointer)
{
    return PhysicalAddress(reinterpret_cast<u64>(pointer) - arch::address_layout().direct_map);
}

/// 2^order contiguous frames, aligned to their size; contents are whatever was there, so who hands them to the
/// application zeroes or fills them first. ENOMEM. Any context.
Result<PhysicalAddress> allocate_frames(unsigned order);
/// As allocate_frames, but asks the reclaimer (page caches) for memory before it fails. No lock of a cache held.
Result<PhysicalAddress> allocate_frames_reclaiming(unsigned order);
/// Likewise one frame, filled with zero.
Result<PhysicalAddress> allocate_zeroed_frame();
/// `reclaim(wanted)` frees about so many frames and returns how many.
void set_frame_reclaimer(usize (*reclaim)(usize wanted));
/// Asserts that it is a block of this order which is allocated.
void free_frames(PhysicalAddress start, unsigned order);
/// Makes a block of `order` that the caller owns into single frames, which are then freed one by one.
void split_frames(PhysicalAddress start, unsigned order);
/// Whether `address` lies in a frame of the allocator's, which is allocated: false for the image, boot's page tables
/// and device memory.
bool is_allocated_frame(PhysicalAddress address);

struct FrameStatistics {
    usize total { 0 }; // frames that were ever given to the allocator
    usize free { 0 };
};
FrameStatistics frame_statistics();

/// Takes over all usable memory of `info`, except the image, the initrd and what lies below 1 MiB (firmware, and
/// real-mode code that starts processors); lazily: costs no time per frame. Panics with a message that names the fault
/// if the map is empty or too small to run in. Afterwards kmalloc and the kernel's half (kernel_space.h) work.
void initialize_memory(const BootInfo& info);
/// Gives whole pages within `range`, which nobody uses any more (an initrd that has been unpacked), to the allocator.
void release_boot_memory(PhysicalRange range);

} // namespace eremite
