#include "mm/frame_allocator.h"

#include <algorithm>
#include <bit>

namespace eremite {

namespace {

PhysicalAddress address_of(u64 frame)
{
    return PhysicalAddress(frame << k_page_shift);
}

} // namespace

Result<> FrameAllocator::add_range(PhysicalRange physical)
{
    ASSERT(is_page_aligned(physical.start.value()) && is_page_aligned(physical.length));
    u64 first = physical.start.value() >> k_page_shift;
    u64 end = first + (physical.length >> k_page_shift);
    u64 state_frames = ((end - first) + k_page_size - 1) >> k_page_shift;
    if (end - first <= state_frames)
        return Errno::ENOSPC;

    Locked lock(m_lock);
    if (m_range_count == m_ranges.size())
        return Errno::ENOSPC;
    Range& range = m_ranges[m_range_count++];
    auto* states = static_cast<u8*>(direct_map(physical.start));
    first += state_frames;
    range = { .first = first, .end = end, .untouched = first, .states = { states, end - first } };
    m_total += end - first;
    m_free += end - first;
    return {};
}

FrameAllocator::Range* FrameAllocator::range_of(u64 frame)
{
    for (Range& range : std::span(m_ranges).first(m_range_count)) {
        if (range.is_touched(frame))
            return &range;
    }
    return nullptr;
}

void FrameAllocator::push(u64 frame, unsigned order)
{
    auto* block = static_cast<FreeBlock*>(direct_map(address_of(frame)));
    FreeBlock*& head = m_lists[order];
    *block = { .next = head, .previous = nullptr };
    if (head)
        head->previous = block;
    head = block;
    m_nonempty |= 1u << order;
}

void FrameAllocator::remove(u64 frame, unsigned order)
{
    auto* block = static_cast<FreeBlock*>(direct_map(address_of(frame)));
    // Who wrote to memory that it had freed shows here.
    if (block->previous) {
        ASSERT(block->previous->next == block);
        block->previous->next = block->next;
    } else {
        ASSERT(m_lists[order] == block);
        m_lists[order] = block->next;
        if (!block->next)
            m_nonempty &= ~(1u << order);
    }
    if (block->next) {
        ASSERT(block->next->previous == block);
        block->next->previous = block->previous;
    }
}

/// Brings the next 4 MiB of memory that was never used into the lists, in the largest blocks that fit.
bool FrameAllocator::touch_next_chunk()
{
    // The highest range first: low memory is what old devices may ask for.
    for (usize i = m_range_count; i-- > 0;) {
        Range& range = m_ranges[i];
        if (range.untouched == range.end)
            continue;
        u64 start = range.untouched;
        u64 end = std::min(align_down(start, k_frames_per_chunk) + k_frames_per_chunk, range.end);
        std::ranges::fill(range.states.subspan(start - range.first, end - start), u8 { 0 });
        range.untouched = end;
        while (start < end) {
            unsigned order = std::min<unsigned>(static_cast<unsigned>(std::countr_zero(start)), k_max_order);
            while ((u64 { 1 } << order) > end - start)
                --order;
            range.state(start) = k_free | static_cast<u8>(order);
            push(start, order);
            start += u64 { 1 } << order;
        }
        return true;
    }
    return false;
}

/// Merges with its buddy as long as that is free, and lists what came of it.
void FrameAllocator::give_block(Range& range, u64 frame, unsigned order)
{
    range.state(frame) = 0;
    while (order < k_max_order) {
        u64 buddy = frame ^ (u64 { 1 } << order);
        if (!range.is_touched(buddy) || range.state(buddy) != (k_free | order))
            break;
        remove(buddy, order);
        range.state(buddy) = 0;
        frame &= ~(u64 { 1 } << order);
        ++order;
    }
    range.state(frame) = k_free | static_cast<u8>(order);
    push(frame, order);
}

/// Gives warm frames back to the lists until `keep` are left.
void FrameAllocator::cool_down(usize keep)
{
    while (m_warm_count > keep) {
        u64 frame = m_warm[--m_warm_count];
        Range* range = range_of(frame);
        ASSERT(range && range->state(frame) == k_warm);
        give_block(*range, frame, 0);
    }
}

Result<PhysicalAddress> FrameAllocator::take_block(unsigned order)
{
    while ((m_nonempty >> order) == 0) {
        if (touch_next_chunk())
            continue;
        // What is warm may be just what larger blocks lack.
        if (m_warm_count == 0)
            return Errno::ENOMEM;
        cool_down(0);
    }
    unsigned found = order + static_cast<unsigned>(std::countr_zero(m_nonempty >> order));
    u64 frame = direct_map_to_physical(m_lists[found]).value() >> k_page_shift;
    Range* range = range_of(frame);
    ASSERT(range && range->state(frame) == (k_free | found));
    remove(frame, found);
    while (found > order) {
        --found;
        u64 half = frame + (u64 { 1 } << found);
        range->state(half) = k_free | static_cast<u8>(found);
        push(half, found);
    }
    range->state(frame) = k_allocated | static_cast<u8>(order);
    return address_of(frame);
}

Result<PhysicalAddress> FrameAllocator::allocate(unsigned order)
{
    if (order > k_max_order)
        return Errno::ENOMEM;
    Locked lock(m_lock);
    if (order == 0 && m_warm_count != 0) {
        u64 frame = m_warm[--m_warm_count];
        Range* range = range_of(frame);
        ASSERT(range && range->state(frame) == k_warm);
        range->state(frame) = k_allocated;
        --m_free;
        return address_of(frame);
    }
    auto block = TRY(take_block(order));
    m_free -= usize { 1 } << order;
    return block;
}

void FrameAllocator::free(PhysicalAddress start, unsigned order)
{
    u64 frame = start.value() >> k_page_shift;
    ASSERT(order <= k_max_order && start.page_offset() == 0 && (frame & ((u64 { 1 } << order) - 1)) == 0);
    Locked lock(m_lock);
    Range* range = range_of(frame);
    ASSERT(range); // freed what is none of the allocator's
    ASSERT(range->state(frame) == (k_allocated | order)); // freed twice, or with another order
    m_free += usize { 1 } << order;
    if (order != 0)
        return give_block(*range, frame, order);
    if (m_warm_count == m_warm.size())
        cool_down(m_warm.size() / 2);
    range->state(frame) = k_warm;
    m_warm[m_warm_count++] = frame;
}

void FrameAllocator::split(PhysicalAddress start, unsigned order)
{
    u64 frame = start.value() >> k_page_shift;
    Locked lock(m_lock);
    Range* range = range_of(frame);
    ASSERT(range && range->state(frame) == (k_allocated | order));
    std::ranges::fill(range->states.subspan(frame - range->first, usize { 1 } << order), k_allocated);
}

bool FrameAllocator::is_allocated(PhysicalAddress address)
{
    u64 frame = address.value() >> k_page_shift;
    Locked lock(m_lock);
    Range* range = range_of(frame);
    if (!range)
        return false;
    for (unsigned order = 0; order <= k_max_order; ++order) {
        u64 head = frame & ~((u64 { 1 } << order) - 1);
        if (range->is_touched(head) && range->state(head) == (k_allocated | order))
            return true;
    }
    return false;
}

FrameStatistics FrameAllocator::statistics()
{
    Locked lock(m_lock);
    return { .total = m_total, .free = m_free };
}

void FrameAllocator::check()
{
    Locked lock(m_lock);
    usize free = m_warm_count;
    usize listed = 0;
    for (unsigned order = 0; order <= k_max_order; ++order) {
        ASSERT(((m_nonempty >> order) & 1) == (m_lists[order] != nullptr));
        FreeBlock* previous = nullptr;
        for (FreeBlock* block = m_lists[order]; block; block = block->next) {
            ASSERT(block->previous == previous);
            u64 frame = direct_map_to_physical(block).value() >> k_page_shift;
            Range* range = range_of(frame);
            ASSERT(range && range->state(frame) == (k_free | order));
            ASSERT((frame & ((u64 { 1 } << order) - 1)) == 0);
            free += usize { 1 } << order;
            ++listed;
            previous = block;
        }
    }
    usize marked = 0;
    usize warm = 0;
    for (Range& range : std::span(m_ranges).first(m_range_count)) {
        free += range.end - range.untouched;
        for (u64 frame = range.first; frame < range.untouched; ++frame) {
            marked += (range.state(frame) & k_free) != 0;
            warm += range.state(frame) == k_warm;
        }
    }
    ASSERT(marked == listed);
    ASSERT(warm == m_warm_count);
    ASSERT(free == m_free);
}

} // namespace eremite
