#include "mm/kernel_heap.h"

#include "mm/kernel_space.h"

#include <algorithm>
#include <bit>

namespace eremite {

namespace {

/// Order of the block of frames that holds `size` bytes.
unsigned order_for(usize size)
{
    usize pages = (size + k_page_size - 1) >> k_page_shift;
    return pages <= 1 ? 0 : static_cast<unsigned>(std::bit_width(pages - 1));
}

} // namespace

unsigned KernelHeap::class_for(usize size, usize alignment)
{
    constexpr auto first_class = [] {
        std::array<u8, k_largest / 16 + 1> table {};
        for (usize i = 0; i < table.size(); ++i) {
            while (k_sizes[table[i]] < i * 16)
                ++table[i];
        }
        return table;
    }();
    unsigned index = first_class[(size + 15) / 16];
    while (index < k_sizes.size() && (k_sizes[index] & (alignment - 1)) != 0)
        ++index;
    return index;
}

void KernelHeap::link(Class& heap_class, Slab& slab)
{
    slab.previous = nullptr;
    slab.next = heap_class.partial;
    if (slab.next)
        slab.next->previous = &slab;
    heap_class.partial = &slab;
}

void KernelHeap::unlink(Class& heap_class, Slab& slab)
{
    if (slab.previous) {
        ASSERT(slab.previous->next == &slab);
        slab.previous->next = slab.next;
    } else {
        ASSERT(heap_class.partial == &slab);
        heap_class.partial = slab.next;
    }
    if (slab.next) {
        ASSERT(slab.next->previous == &slab);
        slab.next->previous = slab.previous;
    }
}

KernelHeap::Slab* KernelHeap::create_slab(unsigned size_class) const
{
    auto frame = allocate_frames(0);
    if (frame.is_error())
        return nullptr;
    auto* slab = ::new (direct_map(frame.value())) Slab;
    slab->magic = magic_for(slab);
    slab->size = k_sizes[size_class];
    slab->size_class = static_cast<u16>(size_class);
    slab->capacity = static_cast<u16>((k_page_size - k_header_size) / slab->size);
    for (usize i = 0; i < k_bitmap_words; ++i) {
        usize slots = slab->capacity - std::min<usize>(slab->capacity, i * 64);
        slab->free_slots[i] = slots >= 64 ? ~u64 { 0 } : (u64 { 1 } << slots) - 1;
    }
    return slab;
}

KernelHeap::Slab& KernelHeap::slab_of(void* pointer) const
{
    auto* slab = reinterpret_cast<Slab*>(align_down(reinterpret_cast<u64>(pointer), k_page_size));
    ASSERT(slab->magic == magic_for(slab)); // not from this heap, or the header was overwritten
    return *slab;
}

void* KernelHeap::allocate(usize size, usize alignment)
{
    if (size > k_largest || alignment > 64)
        return alignment > k_page_size ? nullptr : allocate_large(size);
    unsigned index = class_for(size, alignment);
    if (index == k_sizes.size())
        return allocate_large(size);

    Class& heap_class = m_classes[index];
    Locked lock(heap_class.lock);
    Slab* slab = heap_class.partial;
    if (!slab) [[unlikely]] {
        slab = create_slab(index);
        if (!slab)
            return nullptr;
        link(heap_class, *slab);
        ++heap_class.slabs;
        ++heap_class.empty;
    }
    usize word = 0;
    while (slab->free_slots[word] == 0)
        ++word;
    usize bit = static_cast<usize>(std::countr_zero(slab->free_slots[word]));
    slab->free_slots[word] &= slab->free_slots[word] - 1;
    if (slab->used++ == 0)
        --heap_class.empty;
    if (slab->used == slab->capacity)
        unlink(heap_class, *slab);
    ++heap_class.objects;
    return reinterpret_cast<void*>(reinterpret_cast<u64>(slab) + k_header_size + (word * 64 + bit) * slab->size);
}

void KernelHeap::free(void* pointer, usize size)
{
    // No slot is at the start of a page, and everything larger is.
    if (is_page_aligned(reinterpret_cast<u64>(pointer)))
        return free_large(pointer, size);

    Slab& slab = slab_of(pointer);
    Slab* unused = nullptr;
    {
        Class& heap_class = m_classes[slab.size_class];
        Locked lock(heap_class.lock);
        u32 offset = static_cast<u32>((reinterpret_cast<u64>(pointer) & (k_page_size - 1)) - k_header_size);
        u32 slot = offset / slab.size;
        ASSERT(size <= slab.size && slot * slab.size == offset && slot < slab.capacity);
        u64 bit = u64 { 1 } << (slot & 63);
        ASSERT((slab.free_slots[slot / 64] & bit) == 0); // freed twice
        slab.free_slots[slot / 64] |= bit;
        if (slab.used-- == slab.capacity)
            link(heap_class, slab);
        --heap_class.objects;
        // One empty slab stays, so that a lone object that comes and goes costs no frame each time.
        if (slab.used == 0 && heap_class.empty++ != 0) {
            unlink(heap_class, slab);
            --heap_class.empty;
            --heap_class.slabs;
            slab.magic = 0;
            unused = &slab;
        }
    }
    if (unused)
        free_frames(direct_map_to_physical(unused), 0);
}

void* KernelHeap::allocate_large(usize size)
{
    unsigned order = order_for(size);
    if (order <= k_max_order) {
        auto frames = allocate_frames(order);
        if (frames.has_value()) {
            m_large_frames.fetch_add(usize { 1 } << order, std::memory_order_relaxed);
            return direct_map(frames.value());
        }
        if (order == 0)
            return nullptr;
    }
    // Not in one piece: then in pieces.
    auto range = kernel_space().allocate(align_up(size, k_page_size));
    return range.is_error() ? nullptr : reinterpret_cast<void*>(range.value().start.value());
}

void KernelHeap::free_large(void* pointer, usize size)
{
    VirtualAddress address(reinterpret_cast<u64>(pointer));
    if (KernelSpace::contains(address))
        return kernel_space().free({ address, align_up(size, k_page_size) });
    unsigned order = order_for(size);
    m_large_frames.fetch_sub(usize { 1 } << order, std::memory_order_relaxed);
    free_frames(direct_map_to_physical(pointer), order);
}

HeapStatistics KernelHeap::statistics()
{
    HeapStatistics result;
    for (Class& heap_class : m_classes) {
        Locked lock(heap_class.lock);
        result.slab_frames += heap_class.slabs;
        result.slab_objects += heap_class.objects;
    }
    result.large_frames = m_large_frames.load(std::memory_order_relaxed);
    return result;
}

void KernelHeap::release_empty_slabs()
{
    for (Class& heap_class : m_classes) {
        Locked lock(heap_class.lock);
        for (Slab* slab = heap_class.partial; slab;) {
            Slab* next = slab->next;
            if (slab->used == 0) {
                unlink(heap_class, *slab);
                --heap_class.empty;
                --heap_class.slabs;
                slab->magic = 0;
                free_frames(direct_map_to_physical(slab), 0);
            }
            slab = next;
        }
    }
}

} // namespace eremite
