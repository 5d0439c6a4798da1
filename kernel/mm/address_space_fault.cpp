// Page faults: demand-zero, copy-on-write, files' pages; and populating ahead of faults.
#include "mm/address_space.h"

#include "base/log.h"

#include <algorithm>

namespace eremite {

namespace {

using Format = PageTable::Format;

// A run of faults that go upwards page by page: the n-th takes 2^n pages, up to this many.
constexpr u8 k_longest_streak = 5;
/// From this streak on, a run that comes to the start of 2 MiB takes them as one page.
constexpr u8 k_large_page_streak = 4;

bool allows(arch::PageAttributes attributes, arch::Access access)
{
    return access == arch::Access::Read || (access == arch::Access::Write && attributes.writable)
        || (access == arch::Access::Execute && attributes.executable);
}

void store(u64& entry, u64 value)
{
    std::atomic_ref(entry).store(value, std::memory_order_release);
}

} // namespace

PageFaultResult handle_page_fault(VirtualAddress address, arch::Access access)
{
    return address_space().fault(address, access);
}

PageFaultResult AddressSpace::fault(VirtualAddress address, arch::Access access)
{
    Locked lock(m_lock);
    ++m_faults;
    Mapping* mapping = at(address);
    if (!mapping)
        return PageFaultResult::NotMapped;
    if (!mapping->allows(access))
        return PageFaultResult::NotAllowed;
    m_recent = mapping;
    return fault_in(*mapping, address.page_floor(), access);
}

/// Makes `page` fit for `access`, which the mapping allows.
PageFaultResult AddressSpace::fault_in(Mapping& mapping, VirtualAddress page, arch::Access access)
{
    PageTable::Slot slot = m_table.find(page);
    u64 entry = *slot.entry;
    if (Format::is_present(entry) && allows(Format::attributes(entry), access)) {
        // Another thread was first, or rights were added and this processor didn't know.
        arch::invalidate_page(page);
        return PageFaultResult::Resolved;
    }
    // All of the image is mapped by boot; its rights change by mprotect alone.
    if (!mapping.owns_frames())
        return PageFaultResult::NotAllowed;
    if (mapping.object)
        return ER_PART(file_mappings).fault(*this, mapping, page, access);
    if (entry == 0)
        return fault_anonymous(mapping, page, slot);
    // A page of the application's own that lacks a right which its mapping has: protect() left none such.
    store(*slot.entry, Format::leaf_entry(Format::address(entry | 1, slot.level), mapping.attributes(), slot.level));
    arch::publish_tables();
    arch::invalidate_page(page);
    return PageFaultResult::Resolved;
}

/// 2 MiB at once, if the mapping covers them, nothing of them is there, and memory is plenty.
bool AddressSpace::try_large_page(Mapping& mapping, VirtualAddress page)
{
    VirtualAddress start(align_down(page.value(), k_large_page_size));
    if (mapping.small_pages || start < mapping.range.start || mapping.range.end() - start < k_large_page_size)
        return false;
    PageTable::Slot slot = m_table.find(start);
    if (slot.level == 0) {
        // A table is there, though it may be empty (pages were discarded).
        return false;
    }
    if (slot.level == 1 && *slot.entry != 0)
        return false;
    FrameStatistics frames = frame_statistics();
    if (frames.free < frames.total / 4)
        return false;
    auto entry = m_table.ensure(start, 1);
    if (entry.is_error())
        return false;
    auto block = allocate_frames(9);
    if (block.is_error())
        return false;
    for (u64 offset = 0; offset < k_large_page_size; offset += k_page_size)
        arch::clear_page(direct_map(block.value() + offset));
    store(*entry.value(), Format::leaf_entry(block.value(), mapping.attributes(), 1));
    arch::publish_tables();
    m_resident += k_large_page_size >> k_page_shift;
    mapping.next_fault = start.value() + k_large_page_size;
    return true;
}

PageFaultResult AddressSpace::fault_anonymous(Mapping& mapping, VirtualAddress page, PageTable::Slot slot)
{
    if (page.value() == mapping.next_fault)
        mapping.streak = std::min<u8>(mapping.streak + 1, k_longest_streak);
    else
        mapping.streak = 0;
    bool at_start = (page.value() & (k_large_page_size - 1)) == 0;
    if ((mapping.large_pages || (at_start && mapping.streak >= k_large_page_streak)) && try_large_page(mapping, page))
        return PageFaultResult::Resolved;

    u64* entry = slot.entry;
    if (slot.level != 0) {
        auto made = m_table.ensure(page, 0);
        if (made.is_error())
            return PageFaultResult::OutOfMemory;
        entry = made.value();
    }
    arch::PageAttributes attributes = mapping.attributes();
    // The first page must come; those after it are a guess, within one table, and end at what is there already.
    u64 end = std::min({ page.value() + (u64 { k_page_size } << mapping.streak), mapping.range.end().value(),
        align_down(page.value(), k_large_page_size) + k_large_page_size });
    u64 address = page.value();
    auto table = PageTable::table_of(*entry);
    for (unsigned index = Format::index(page, 0); address < end && table[index] == 0; ++index, address += k_page_size) {
        auto frame = allocate_zeroed_frame();
        if (frame.is_error()) {
            if (address == page.value())
                return PageFaultResult::OutOfMemory;
            break;
        }
        store(table[index], Format::leaf_entry(frame.value(), attributes, 0));
        ++m_resident;
    }
    arch::publish_tables();
    mapping.next_fault = address;
    return PageFaultResult::Resolved;
}

} // namespace eremite
