#include "mm/kernel_space.h"

#include "mm/device_memory.h"
#include "mm/tlb.h"

#include <algorithm>

namespace eremite {

namespace {

[[clang::no_destroy]] constinit KernelSpace s_kernel_space;

} // namespace

KernelSpace& kernel_space()
{
    return s_kernel_space;
}

void KernelSpace::initialize(PhysicalAddress root, u64 random)
{
    m_table = PageTable(root);
    // Stacks and the rest in one piece of 512 GiB each, or less where that is all, anywhere in the area.
    const arch::AddressLayout& layout = arch::address_layout();
    m_piece = std::min(PageTable::span_of(3), (layout.kernel_area_end - layout.kernel_area) / 4);
    u64 pieces = (layout.kernel_area_end - layout.kernel_area) / m_piece;
    u64 first = random % (pieces - 1);
    u64 slack = m_piece / 2 / k_page_size;
    m_stacks_base = layout.kernel_area + first * m_piece + (random >> 16) % slack * k_page_size;
    m_areas_base = layout.kernel_area + (first + 1) * m_piece + (random >> 36) % slack * k_page_size;
    ASSERT(k_max_stacks * k_stack_slot <= m_piece / 2);
}

/// Room for `length` bytes with an unmapped page behind it.
Result<KernelSpace::Area*> KernelSpace::reserve(u64 length)
{
    u64 start = m_areas_base;
    Area** link = &m_areas;
    while (*link && (*link)->range.start.value() - start < length + k_page_size) {
        start = (*link)->range.end().value() + k_page_size;
        link = &(*link)->next;
    }
    if (length > m_piece / 2 || start + length >= arch::address_layout().kernel_area_end)
        return Errno::ENOMEM;
    void* memory = kmalloc(sizeof(Area));
    if (!memory)
        return Errno::ENOMEM;
    auto* area = ::new (memory) Area { .range = { VirtualAddress(start), length }, .next = *link };
    *link = area;
    return area;
}

void KernelSpace::release(VirtualRange range)
{
    Area** link = &m_areas;
    while (*link && (*link)->range.start < range.start)
        link = &(*link)->next;
    Area* area = *link;
    ASSERT(area && area->range == range); // freed what was not allocated
    *link = area->next;
    kfree(area, sizeof(Area));
}

void KernelSpace::unmap(VirtualRange range, VirtualRange gap, bool owns_frames)
{
    TlbBatch batch;
    for (u64 offset = 0; offset < range.length; offset += k_page_size) {
        u64 old = PageTable::exchange(*m_table.find(range.start + offset).entry, 0); // none is large
        batch.invalidate(range.start + offset);
        if (owns_frames)
            batch.free_after_flush(PageTable::Format::address(old, 0), 0);
    }
    m_table.free_tables(range, gap, batch);
}

/// Gives every page of `range` a frame.
Result<> KernelSpace::back(VirtualRange range)
{
    for (u64 offset = 0; offset < range.length; offset += k_page_size) {
        auto frame = allocate_frames(0);
        if (frame.has_value()) {
            auto mapped = m_table.map(range.start + offset, frame.value(), arch::k_kernel_data_attributes);
            if (mapped.has_value())
                continue;
            free_frames(frame.value(), 0);
        }
        unmap({ range.start, offset }, { range.start, 0 }, true);
        return Errno::ENOMEM;
    }
    arch::publish_tables();
    return {};
}

Result<VirtualRange> KernelSpace::allocate(u64 length)
{
    ASSERT(length != 0 && is_page_aligned(length));
    Locked lock(m_lock);
    Area* area = TRY(reserve(length));
    VirtualRange range = area->range;
    if (auto result = back(range); result.is_error()) {
        release(range);
        return result.error();
    }
    return range;
}

void KernelSpace::free(VirtualRange range)
{
    Locked lock(m_lock);
    VirtualAddress before(m_areas_base);
    VirtualAddress after(arch::address_layout().kernel_area_end);
    for (Area* area = m_areas; area; area = area->next) {
        if (area->range.start < range.start) {
            before = area->range.end();
        } else if (area->range.start > range.start) {
            after = area->range.start;
            break;
        }
    }
    release(range);
    unmap(range, { before, after - before }, true);
}

Result<VirtualRange> KernelSpace::map(PhysicalRange physical, arch::PageAttributes attributes)
{
    Locked lock(m_lock);
    Area* area = TRY(reserve(physical.length));
    VirtualRange range = area->range;
    for (u64 offset = 0; offset < physical.length; offset += k_page_size) {
        // What is mapped so far stays, and so does the area: a machine that is short of a page table at boot loses
        // only addresses, and a program that maps no more than a timer doesn't hold how to unmap.
        TRY(m_table.map(range.start + offset, physical.start + offset, attributes));
    }
    arch::publish_tables();
    return range;
}

KernelSpace::SlotNode* KernelSpace::pop(SlotNode*& list)
{
    SlotNode* node = list;
    list = node->next;
    return node;
}

void KernelSpace::push(SlotNode*& list, SlotNode* node)
{
    node->next = list;
    list = node;
}

Result<VirtualRange> KernelSpace::allocate_stack()
{
    Locked lock(m_lock);
    if (m_mapped_slots) {
        SlotNode* node = pop(m_mapped_slots);
        --m_mapped_count;
        push(m_spare_nodes, node);
        return stack_at(node->slot);
    }
    if (!m_unmapped_slots) {
        void* memory = m_next_slot < k_max_stacks ? kmalloc(sizeof(SlotNode)) : nullptr;
        if (!memory)
            return Errno::ENOMEM;
        push(m_unmapped_slots, ::new (memory) SlotNode { .slot = m_next_slot++ });
    }
    VirtualRange stack = stack_at(m_unmapped_slots->slot);
    TRY(back(stack));
    push(m_spare_nodes, pop(m_unmapped_slots));
    return stack;
}

void KernelSpace::free_stack(VirtualRange stack)
{
    Locked lock(m_lock);
    u64 slot = (stack.start.value() - m_stacks_base) / k_stack_slot;
    ASSERT(slot < m_next_slot && stack_at(slot) == stack && m_spare_nodes);
    SlotNode* node = pop(m_spare_nodes);
    node->slot = static_cast<u32>(slot);
    if (m_mapped_count < k_kept_stacks) {
        push(m_mapped_slots, node);
        ++m_mapped_count;
        return;
    }
    unmap(stack, { stack.start, 0 }, true);
    push(m_unmapped_slots, node);
}

void KernelSpace::release_free_stacks()
{
    Locked lock(m_lock);
    while (m_mapped_slots) {
        SlotNode* node = pop(m_mapped_slots);
        --m_mapped_count;
        unmap(stack_at(node->slot), { stack_at(node->slot).start, 0 }, true);
        push(m_unmapped_slots, node);
    }
}

bool KernelSpace::is_stack_guard(VirtualAddress address) const
{
    u64 offset = address.value() - m_stacks_base;
    return m_stacks_base != 0 && offset < k_max_stacks * k_stack_slot && offset % k_stack_slot < k_kernel_stack_size;
}

const char* describe_kernel_address(VirtualAddress address)
{
    if (s_kernel_space.is_among_stacks(address))
        return "kernel stack";
    if (KernelSpace::contains(address))
        return "kernel memory or device";
    if (address.value() >> 63 != 0)
        return "heap or page table, in the direct map";
    return nullptr;
}

Result<VirtualRange> allocate_kernel_stack()
{
    return s_kernel_space.allocate_stack();
}

void free_kernel_stack(VirtualRange stack)
{
    s_kernel_space.free_stack(stack);
}

bool is_kernel_stack_guard(VirtualAddress address)
{
    return s_kernel_space.is_stack_guard(address);
}

Result<void*> map_device_memory(PhysicalRange range, arch::CacheMode mode)
{
    u64 end;
    if (range.length == 0 || __builtin_add_overflow(range.start.value(), range.length, &end) || end > (u64 { 1 } << 52))
        return Errno::EINVAL;
    u64 start = range.start.page_floor().value();
    arch::PageAttributes attributes = arch::k_kernel_data_attributes;
    attributes.cache = mode;
    auto mapped = TRY(s_kernel_space.map({ PhysicalAddress(start), align_up(end, k_page_size) - start }, attributes));
    return reinterpret_cast<void*>(mapped.start.value() + range.start.page_offset());
}

} // namespace eremite
