#include "mm/page_table.h"

#include "mm/tlb.h"

#include <algorithm>

namespace eremite {

PageTable::Slot PageTable::find(VirtualAddress address) const
{
    PhysicalAddress table = m_root;
    for (unsigned level = Format::k_levels - 1;; --level) {
        u64& entry = table_at(table)[Format::index(address, level)];
        if (level == 0 || !Format::is_present(entry) || Format::is_leaf(entry, level))
            return { &entry, level };
        table = Format::address(entry, level);
    }
}

Result<u64*> PageTable::ensure(VirtualAddress address, unsigned level)
{
    PhysicalAddress table = m_root;
    for (unsigned l = Format::k_levels - 1; l > level; --l) {
        u64& entry = table_at(table)[Format::index(address, l)];
        if (entry == 0) [[unlikely]] {
            auto frame = TRY(allocate_zeroed_frame());
            // The zeroes must be visible before the table is.
            arch::publish_tables();
            std::atomic_ref(entry).store(Format::table_entry(frame), std::memory_order_release);
            if (l == Format::k_levels - 1)
                arch::root_entry_changed(Format::index(address, l), entry);
        } else if (!Format::is_present(entry) || Format::is_leaf(entry, l)) {
            return Errno::EEXIST;
        }
        table = Format::address(entry, l);
    }
    return &table_at(table)[Format::index(address, level)];
}

Result<> PageTable::map(VirtualAddress address, PhysicalAddress frame, arch::PageAttributes attributes, unsigned level)
{
    u64* entry = TRY(ensure(address, level));
    ASSERT(*entry == 0);
    std::atomic_ref(*entry).store(Format::leaf_entry(frame, attributes, level), std::memory_order_release);
    return {};
}

Result<PageTable::Translation> PageTable::translate(VirtualAddress address) const
{
    Slot slot = find(address);
    u64 entry = *slot.entry;
    if (!Format::is_present(entry))
        return Errno::EFAULT;
    u64 offset = address.value() & (span_of(slot.level) - 1);
    return Translation { Format::address(entry, slot.level) + offset, Format::attributes(entry), slot.level };
}

Result<bool> PageTable::split_at(VirtualAddress address, TlbBatch& batch)
{
    if ((address.value() & (span_of(1) - 1)) == 0)
        return false;
    Slot slot = find(address);
    if (slot.level != 1 || *slot.entry == 0)
        return false;
    auto table = TRY(allocate_frames(0));
    u64 large = *slot.entry;
    bool is_present = Format::is_present(large);
    if (!is_present)
        large = unparked(large);
    PhysicalAddress frame = Format::address(large, 1);
    arch::PageAttributes attributes = Format::attributes(large);
    auto entries = table_at(table);
    for (unsigned i = 0; i < k_entries; ++i) {
        u64 entry = Format::leaf_entry(frame + i * k_page_size, attributes, 0);
        entries[i] = is_present ? entry : parked(entry);
    }
    arch::publish_tables();
    // Break before make: some processors must not see both sizes at once (Arm ARM, D8.14.1).
    exchange(*slot.entry, 0);
    batch.invalidate(VirtualAddress(align_down(address.value(), span_of(1))));
    batch.flush();
    std::atomic_ref(*slot.entry).store(Format::table_entry(table), std::memory_order_release);
    arch::publish_tables();
    return true;
}

void PageTable::free_below(
    PhysicalAddress table, unsigned level, u64 first, u64 last, VirtualRange gap, TlbBatch& batch)
{
    auto entries = table_at(table);
    u64 mask = span_of(level) - 1;
    unsigned end = Format::index(VirtualAddress(last), level);
    u64 address = first;
    for (unsigned i = Format::index(VirtualAddress(first), level); i <= end; ++i, address = (address | mask) + 1) {
        u64& entry = entries[i];
        // A large page that reaches in from outside belongs to a neighbour.
        if (!Format::is_present(entry) || Format::is_leaf(entry, level))
            continue;
        PhysicalAddress below = Format::address(entry, level);
        if (level > 1)
            free_below(below, level - 1, address, std::min(last, address | mask), gap, batch);
        u64 start = address & ~mask;
        if (start < gap.start.value() || (start | mask) > gap.end().value() - 1 || !is_allocated_frame(below))
            continue;
        exchange(entry, 0);
        if (level == Format::k_levels - 1)
            arch::root_entry_changed(i, 0);
        batch.invalidate(VirtualAddress(start));
        batch.free_after_flush(below, 0);
    }
}

void PageTable::free_tables(VirtualRange range, VirtualRange gap, TlbBatch& batch)
{
    u64 last = range.end().value() - 1;
    // Most often what lies beside it needs the same table.
    u64 first_block = align_down(range.start.value(), span_of(1));
    u64 last_block = align_down(last, span_of(1));
    bool needed = first_block < gap.start.value() || (last_block | (span_of(1) - 1)) > gap.end().value() - 1;
    if (first_block == last_block && needed)
        return;
    free_below(m_root, Format::k_levels - 1, range.start.value(), last, gap, batch);
}

} // namespace eremite
