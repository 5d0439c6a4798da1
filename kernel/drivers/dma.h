// Memory as devices see it.
#pragma once

#include "mm/frames.h"
#include <span>

namespace eremite {

/// A contiguous piece of memory that a device reads or writes.
struct DmaSegment {
    PhysicalAddress address;
    u32 length { 0 };
};

/// `bytes` lie in the kernel heap or in frames of the direct map: contiguous in physical memory as well.
inline DmaSegment dma_segment(std::span<const u8> bytes)
{
    return { direct_map_to_physical(bytes.data()), static_cast<u32>(bytes.size()) };
}

} // namespace eremite
