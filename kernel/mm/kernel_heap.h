// The kernel heap behind kmalloc: slabs of one frame per size class, whole frames for what is larger.
//
// A slab is a frame that begins with its header; a bitmap there says which slots are free. Nothing of the heap's own
// lies in freed memory, so what the owner of a freed object writes into it can't mislead the allocator. Each free
// checks that the header is genuine (a secret mixed with its address), the size is the one of the class, the address
// that of a slot, and the slot in use: a double free, a wrong size or a pointer that never came from here asserts.
#pragma once

#include "mm/frames.h"
#include "mm/kmalloc.h"
#include "sync/spin_lock.h"
#include <array>
#include <span>

namespace eremite {

class KernelHeap {
public:
    constexpr KernelHeap() = default;

    /// As kmalloc. Alignments above 64 get whole frames.
    void* allocate(usize size, usize alignment);
    /// As kfree. `pointer` is not null.
    void free(void* pointer, usize size);

    /// Something unpredictable, before the first allocation.
    void set_secret(u64 secret) { m_secret = secret; }

    HeapStatistics statistics();

    /// Gives back the frames of all slabs that hold nothing (one per class is kept otherwise).
    void release_empty_slabs();

private:
    static constexpr usize k_header_size = 64;
    // Multiples of 16; those from 64 on, where alignment to cache lines may be asked for, of 64 where that costs
    // little.
    static constexpr std::array<u16, 15> k_sizes { 16, 32, 48, 64, 80, 96, 128, 192, 256, 320, 384, 448, 640, 1008,
        1344 };
    static constexpr usize k_largest = k_sizes.back();
    static constexpr usize k_bitmap_words = 4;

    struct Slab {
        u64 magic { 0 };
        std::array<u64, k_bitmap_words> free_slots {}; // bit set: free
        Slab* next { nullptr };
        Slab* previous { nullptr };
        u16 size { 0 };
        u16 used { 0 };
        u16 capacity { 0 };
        u16 size_class { 0 };
    };
    static_assert(sizeof(Slab) <= k_header_size);

    struct Class {
        InterruptSpinLock lock;
        Slab* partial GUARDED_BY(lock) { nullptr }; // slabs with room; full ones are in no list
        usize empty GUARDED_BY(lock) { 0 }; // slabs in the list that hold nothing
        usize slabs GUARDED_BY(lock) { 0 };
        usize objects GUARDED_BY(lock) { 0 };
    };

    static unsigned class_for(usize size, usize alignment);
    u64 magic_for(const Slab* slab) const { return m_secret ^ reinterpret_cast<u64>(slab); }
    Slab* create_slab(unsigned size_class) const;
    Slab& slab_of(void* pointer) const;
    static void link(Class& heap_class, Slab& slab) REQUIRES(heap_class.lock);
    static void unlink(Class& heap_class, Slab& slab) REQUIRES(heap_class.lock);
    void* allocate_large(usize size);
    void free_large(void* pointer, usize size);

    std::array<Class, k_sizes.size()> m_classes {};
    std::atomic<usize> m_large_frames { 0 };
    u64 m_secret { 0 };
};

} // namespace eremite
