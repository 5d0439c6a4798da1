// Beside kmalloc (base/owned.h): how its heap begins, and what it holds.
#pragma once

#include "base/types.h"

namespace eremite {

/// Before the first kmalloc, with something unpredictable.
void initialize_kernel_heap(u64 secret);

struct HeapStatistics {
    usize slab_frames { 0 };
    usize slab_objects { 0 };
    usize large_frames { 0 };
};
HeapStatistics kernel_heap_statistics();
/// Gives frames that the heap keeps in reserve back to the allocator.
void trim_kernel_heap();

} // namespace eremite
