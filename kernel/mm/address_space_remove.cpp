// Splitting, joining and removing mappings, and populating them ahead of faults: in the image of a program that does
// more with mappings than make them.
#include "mm/address_space.h"

#include "base/log.h"

#include <algorithm>

namespace eremite {

namespace {

using Format = PageTable::Format;

} // namespace

Mapping* AddressSpace::next(Mapping& mapping)
{
    auto following = std::next(m_mappings.iterator_to(mapping));
    return following == m_mappings.end() ? nullptr : &*following;
}

/// The space between the mappings on either side of `range`, which holds none.
VirtualRange AddressSpace::gap_around(VirtualRange range)
{
    auto after = m_mappings.lower_bound(range.start.value());
    VirtualAddress start;
    VirtualAddress end(u64 { 1 } << 47);
    if (after != m_mappings.end())
        end = after->range.start;
    if (after != m_mappings.begin())
        start = std::prev(after)->range.end();
    return { start, end - start };
}

/// Takes it out of the tree; the pages are the caller's business.
void AddressSpace::forget(Mapping& mapping)
{
    m_mappings.erase(m_mappings.iterator_to(mapping));
    m_mapped -= mapping.range.length;
    if (mapping.locked)
        m_locked_bytes -= mapping.range.length;
    if (mapping.object)
        mapping.object->m_mapping_count.fetch_sub(1, std::memory_order_relaxed);
    if (m_recent == &mapping)
        m_recent = nullptr;
    // The search looks at what became free.
    m_search_from = std::min(std::max(m_search_from, mapping.range.end().value() + k_mapping_gap), m_map_top);
}

/// Whether the application may change what is in `range`, where `first` is the first mapping.
bool AddressSpace::may_change(Mapping& first, VirtualRange range)
{
    for (Mapping* mapping = &first; mapping && mapping->range.start < range.end(); mapping = next(*mapping)) {
        if (mapping->is_fixed())
            return false;
    }
    return true;
}

/// Makes a large page that straddles `address` small.
Result<> AddressSpace::split_page(const Mapping& mapping, VirtualAddress address, TlbBatch& batch)
{
    PageTable::Slot slot = m_table.find(address);
    if (slot.level != 1 || *slot.entry == 0 || (address.value() & (k_large_page_size - 1)) == 0)
        return {};
    u64 entry = PageTable::unparked(*slot.entry);
    bool owned = mapping.owns_frames() && !PageTable::Format::attributes(entry).borrowed;
    TRY(m_table.split_at(address, batch));
    if (owned)
        split_frames(PageTable::Format::address(entry, 1), 9);
    return {};
}

/// Has a mapping end at `address`, which lies in it, and another begin; returns the other.
Result<Mapping*> AddressSpace::split(Mapping& lower, VirtualAddress address, TlbBatch& batch)
{
    Mapping* mapping = &lower;
    TRY(split_page(*mapping, address, batch));
    auto upper = TRY(make<Mapping>());
    u64 lower_length = address - mapping->range.start;
    upper->range = { address, mapping->range.length - lower_length };
    upper->kind = mapping->kind;
    upper->protection = mapping->protection;
    upper->key = mapping->key;
    upper->shared = mapping->shared;
    upper->locked = mapping->locked;
    upper->large_pages = mapping->large_pages;
    upper->small_pages = mapping->small_pages;
    upper->may_write = mapping->may_write;
    upper->name = mapping->name;
    upper->file = mapping->file;
    upper->object = mapping->object;
    upper->offset = mapping->offset + lower_length;
    // insert() counts the upper part, so the lower gives it up first.
    m_mapped -= upper->range.length;
    if (mapping->locked)
        m_locked_bytes -= upper->range.length;
    mapping->range.length = lower_length;
    Mapping* result = upper.leak();
    insert(*result);
    return result;
}

/// Has mappings begin and end where `range` does.
Result<> AddressSpace::split_ends(VirtualRange range, TlbBatch& batch)
{
    for (VirtualAddress address : { range.start, range.end() }) {
        Mapping* mapping = at(address);
        if (mapping && mapping->range.start != address)
            TRY(split(*mapping, address, batch));
    }
    return {};
}

/// Joins mappings in and at the ends of `range` that one Mapping can describe.
void AddressSpace::merge_around(VirtualRange range)
{
    Mapping* mapping = at_or_after(range.start.value() == 0 ? range.start : range.start - 1);
    while (mapping && mapping->range.start <= range.end()) {
        Mapping* following = next(*mapping);
        if (!following || !mapping->continues_in(*following)) {
            mapping = following;
            continue;
        }
        u64 length = following->range.length;
        bool locked = following->locked;
        u64 search_from = m_search_from;
        forget(*following);
        m_search_from = search_from;
        auto dropped = OwnPtr<Mapping>::adopt(following);
        mapping->range.length += length;
        m_mapped += length;
        if (locked)
            m_locked_bytes += length;
    }
}

/// Frees the pages of `range`, which lies in `mapping` and whose ends no large page straddles.
void AddressSpace::discard_pages(const Mapping& mapping, VirtualRange range, TlbBatch& batch)
{
    bool owned = mapping.owns_frames();
    u64 freed = 0;
    m_table.for_each(range, [&](VirtualAddress address, u64& entry, unsigned level) {
        bool borrowed = PageTable::Format::attributes(entry | 1).borrowed;
        u64 old = PageTable::exchange(entry, 0);
        batch.invalidate(address);
        if (!owned || borrowed)
            return;
        freed += PageTable::span_of(level) >> k_page_shift;
        batch.free_after_flush(PageTable::Format::address(old | 1, level), level == 0 ? 0 : 9);
    });
    m_resident -= freed;
}

/// Unmaps `range`. EPERM, ENOMEM: nothing was changed.
Result<> AddressSpace::remove(VirtualRange range, TlbBatch& batch, Removed& removed)
{
    Mapping* mapping = at_or_after(range.start);
    if (!mapping || mapping->range.start >= range.end())
        return {};
    if (!may_change(*mapping, range))
        return Errno::EPERM;
    // Both ends first: they may fail.
    if (mapping->range.start < range.start)
        mapping = TRY(split(*mapping, range.start, batch));
    Mapping* last = mapping;
    while (last->range.end() < range.end()) {
        Mapping* following = next(*last);
        if (!following || following->range.start >= range.end())
            break;
        last = following;
    }
    if (last->range.end() > range.end())
        TRY(split(*last, range.end(), batch));

    VirtualRange covered { mapping->range.start, last->range.end() - mapping->range.start };
    auto first = m_mappings.iterator_to(*mapping);
    VirtualAddress gap_start = first == m_mappings.begin() ? VirtualAddress() : std::prev(first)->range.end();
    bool is_last = false;
    while (!is_last) {
        is_last = mapping == last;
        Mapping* following = next(*mapping);
        discard_pages(*mapping, mapping->range, batch);
        forget(*mapping);
        removed.add(*mapping);
        mapping = following;
    }
    VirtualAddress gap_end = mapping ? mapping->range.start : VirtualAddress(u64 { 1 } << 47);
    m_table.free_tables(covered, { gap_start, gap_end - gap_start }, batch);
    return {};
}

/// Brings in all pages of `range` that mappings allow. ENOMEM: not all of it is mapped, or memory ran out. EACCES.
Result<> AddressSpace::populate(VirtualRange range, bool write)
{
    VirtualAddress page = range.start;
    while (page < range.end()) {
        Mapping* mapping = at_or_after(page);
        if (!mapping || mapping->range.start > page)
            return Errno::ENOMEM;
        arch::Access access = write && mapping->is_writable() ? arch::Access::Write : arch::Access::Read;
        VirtualAddress end = std::min(range.end(), mapping->range.end());
        if (!mapping->allows(access)) {
            page = end;
            continue;
        }
        if (mapping->object)
            mapping->object->read_ahead(mapping->page_index(page), (end - page) >> k_page_shift);
        while (page < end) {
            PageTable::Slot slot = m_table.find(page);
            if (Format::is_present(*slot.entry) && (!write || Format::attributes(*slot.entry).writable)) {
                page = VirtualAddress(align_down(page.value(), PageTable::span_of(slot.level)))
                    + PageTable::span_of(slot.level);
                continue;
            }
            if (!mapping->object && mapping->owns_frames() && (page.value() & (k_large_page_size - 1)) == 0
                && try_large_page(*mapping, page)) {
                page += k_large_page_size;
                continue;
            }
            PageFaultResult result = fault_in(*mapping, page, access);
            if (result == PageFaultResult::OutOfMemory)
                return Errno::ENOMEM;
            if (result != PageFaultResult::Resolved)
                return Errno::EFAULT;
            page += k_page_size;
        }
    }
    return {};
}

Result<> AddressSpace::unmap(VirtualRange range)
{
    ER_NEEDS(mapping_changes);
    Removed removed;
    Locked lock(m_lock);
    TlbBatch batch;
    return remove(range, batch, removed);
}

VirtualAddress AddressSpace::set_break(VirtualAddress end)
{
    ER_NEEDS(mapping_changes);
    Removed removed;
    Locked lock(m_lock);
    TlbBatch batch;
    u64 wanted = end.value();
    if (wanted < m_heap_start || wanted > arch::address_layout().application_end)
        return VirtualAddress(m_break);
    u64 old_end = align_up(m_break, k_page_size);
    u64 new_end = align_up(wanted, k_page_size);
    if (new_end < old_end) {
        if (remove({ VirtualAddress(new_end), old_end - new_end }, batch, removed).is_error())
            return VirtualAddress(m_break);
    } else if (new_end > old_end) {
        VirtualRange grown { VirtualAddress(old_end), new_end - old_end };
        Mapping* above = at_or_after(grown.start);
        bool has_room = !above || above->range.start.value() >= new_end + k_mapping_gap;
        if (!has_room || !fits_limit(grown.length) || grown.length > frame_statistics().total * k_page_size)
            return VirtualAddress(m_break);
        auto mapping = make<Mapping>();
        if (mapping.is_error())
            return VirtualAddress(m_break);
        Mapping& added = *mapping.value().leak();
        added.range = grown;
        added.kind = MappingKind::Heap;
        added.protection = abi::k_prot_read | abi::k_prot_write;
        added.locked = m_lock_future;
        insert(added);
        merge_around(grown);
    }
    m_break = wanted;
    return end;
}

struct MappingChanges {
    static Result<> remove(AddressSpace& space, VirtualRange range, TlbBatch& batch,
        AddressSpace::Removed& removed) NO_THREAD_SAFETY_ANALYSIS
    {
        return space.remove(range, batch, removed);
    }
    static void merge_around(AddressSpace& space, VirtualRange range) NO_THREAD_SAFETY_ANALYSIS
    {
        space.merge_around(range);
    }
    static void populate(AddressSpace& space, VirtualRange range, bool write) NO_THREAD_SAFETY_ANALYSIS
    {
        static_cast<void>(space.populate(range, write));
    }
};

ER_DEFINE_PART(
    MappingChangesPart, mapping_changes, MappingChanges::remove, MappingChanges::merge_around, MappingChanges::populate)

} // namespace eremite
