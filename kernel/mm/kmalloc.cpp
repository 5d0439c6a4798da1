// kmalloc and kfree of the kernel proper. Arch `host` has its own, over malloc, so that AddressSanitizer sees each
// object.
#include "mm/kmalloc.h"

#include "base/owned.h"
#include "mm/kernel_heap.h"

namespace eremite {

namespace {
constinit KernelHeap s_heap;
}

void initialize_kernel_heap(u64 secret)
{
    s_heap.set_secret(secret);
}

HeapStatistics kernel_heap_statistics()
{
    return s_heap.statistics();
}

void trim_kernel_heap()
{
    s_heap.release_empty_slabs();
}

void* kmalloc(usize size, usize alignment)
{
    return s_heap.allocate(size, alignment);
}

void kfree(void* pointer, usize size)
{
    if (pointer)
        s_heap.free(pointer, size);
}

} // namespace eremite
