// The buddy allocator behind mm/frames.h, as a class so that tests can have their own.
//
// Each range of memory has one byte of state per frame, taken from its own start. A block of 4 MiB is only looked at
// when it is first needed: until then the range's `untouched` mark lies below it, and its states are garbage. Free
// blocks are in doubly linked lists that run through the free memory itself; both neighbours are checked whenever one
// is taken out. A few single frames that were freed last are kept apart, still warm, and are the first to be handed
// out.
#pragma once

#include "mm/frames.h"
#include "sync/spin_lock.h"
#include <array>
#include <span>

namespace eremite {

class FrameAllocator {
public:
    static constexpr usize k_max_ranges = 32;

    constexpr FrameAllocator() = default;

    /// Adds memory that nobody uses, visible in the direct map. Page-aligned. ENOSPC: too many ranges, or the range is
    /// too small to hold its own states.
    Result<> add_range(PhysicalRange range);

    Result<PhysicalAddress> allocate(unsigned order);
    void free(PhysicalAddress start, unsigned order);
    void split(PhysicalAddress start, unsigned order);
    bool is_allocated(PhysicalAddress address);
    FrameStatistics statistics();
    /// Walks everything and asserts that lists and states agree. For tests.
    void check();

private:
    static constexpr u64 k_frames_per_chunk = u64 { 1 } << k_max_order;
    static constexpr usize k_warm_frames = 64;

    // A state is the order, and one of these; 0 inside a block and for frames that aren't ours.
    static constexpr u8 k_free = 0x80;
    static constexpr u8 k_allocated = 0x40;
    static constexpr u8 k_warm = 0x20;

    /// At the start of each free block.
    struct FreeBlock {
        FreeBlock* next;
        FreeBlock* previous;
    };

    /// Frame numbers [first, end); those from `untouched` on were never looked at.
    struct Range {
        u64 first { 0 };
        u64 end { 0 };
        u64 untouched { 0 };
        std::span<u8> states;

        u8& state(u64 frame) { return states[frame - first]; }
        bool is_touched(u64 frame) const { return frame >= first && frame < untouched; }
    };

    Range* range_of(u64 frame) REQUIRES(m_lock);
    bool touch_next_chunk() REQUIRES(m_lock);
    Result<PhysicalAddress> take_block(unsigned order) REQUIRES(m_lock);
    void give_block(Range& range, u64 frame, unsigned order) REQUIRES(m_lock);
    void cool_down(usize keep) REQUIRES(m_lock);
    void push(u64 frame, unsigned order) REQUIRES(m_lock);
    void remove(u64 frame, unsigned order) REQUIRES(m_lock);

    InterruptSpinLock m_lock;
    std::array<Range, k_max_ranges> m_ranges GUARDED_BY(m_lock) {};
    usize m_range_count GUARDED_BY(m_lock) { 0 };
    std::array<FreeBlock*, k_max_order + 1> m_lists GUARDED_BY(m_lock) {};
    u32 m_nonempty GUARDED_BY(m_lock) { 0 }; // a bit per list
    std::array<u64, k_warm_frames> m_warm GUARDED_BY(m_lock) {};
    usize m_warm_count GUARDED_BY(m_lock) { 0 };
    usize m_total GUARDED_BY(m_lock) { 0 };
    usize m_free GUARDED_BY(m_lock) { 0 };
};

} // namespace eremite
