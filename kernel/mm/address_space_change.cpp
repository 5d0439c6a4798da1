// Changing what is mapped: rights, place and size, advice, locking.
#include "mm/address_space.h"

#include <algorithm>

namespace eremite {

namespace {

using Format = PageTable::Format;

VirtualRange intersection(VirtualRange a, VirtualRange b)
{
    VirtualAddress start = std::max(a.start, b.start);
    VirtualAddress end = std::min(a.end(), b.end());
    return { start, end > start ? end - start : 0 };
}

} // namespace

bool AddressSpace::is_wholly_mapped(VirtualRange range)
{
    VirtualAddress reached = range.start;
    for (Mapping* mapping = at_or_after(reached); mapping && mapping->range.start <= reached;
        mapping = next(*mapping)) {
        reached = mapping->range.end();
        if (reached >= range.end())
            return true;
    }
    return false;
}

/// Gives the pages that are there the rights that `mapping` has now.
void AddressSpace::protect_pages(const Mapping& mapping, bool was_executable, TlbBatch& batch)
{
    arch::PageAttributes wanted = mapping.attributes();
    bool accessible = mapping.protection != 0;
    m_table.for_each(mapping.range, [&](VirtualAddress address, u64& entry, unsigned level) {
        arch::PageAttributes attributes = wanted;
        arch::PageAttributes before = Format::attributes(entry | 1);
        attributes.borrowed = before.borrowed;
        // A file's page becomes writable only by a fault, which tells the file or makes a copy.
        if (attributes.borrowed)
            attributes.writable = false;
        u64 changed = Format::leaf_entry(Format::address(entry | 1, level), attributes, level);
        bool was_present = Format::is_present(entry);
        PageTable::exchange(entry, accessible ? changed : PageTable::parked(changed));
        // Rights that were added are found out by a fault; those that were taken must be forgotten everywhere.
        bool fewer = !accessible || (before.writable && !attributes.writable)
            || (before.executable && !attributes.executable) || before.key != attributes.key
            || before.application != attributes.application;
        if (was_present && fewer)
            batch.invalidate(address);
        if (attributes.executable && accessible && !was_executable) {
            arch::publish_tables();
            arch::invalidate_page(address);
            arch::synchronize_instructions(address, PageTable::span_of(level));
        }
    });
    arch::publish_tables();
}

Result<> AddressSpace::protect(VirtualRange range, u8 protection, i32 key)
{
    ER_NEEDS(mapping_changes);
    Locked lock(m_lock);
    TlbBatch batch;
    if (!is_wholly_mapped(range))
        return Errno::ENOMEM;
    if (!may_change(*at(range.start), range))
        return Errno::EPERM;
    for (Mapping* mapping = at_or_after(range.start); mapping && mapping->range.start < range.end();
        mapping = next(*mapping)) {
        if (mapping->shared && !mapping->may_write && (protection & abi::k_prot_write) != 0)
            return Errno::EACCES;
    }
    if (scans_code() && (protection & abi::k_prot_execute) != 0)
        TRY(prepare_code(range, batch));
    TRY(split_ends(range, batch));
    for (Mapping* mapping = at_or_after(range.start); mapping && mapping->range.start < range.end();
        mapping = next(*mapping)) {
        u8 new_key = key < 0 ? mapping->key : static_cast<u8>(key);
        if (mapping->protection == protection && mapping->key == new_key)
            continue;
        bool was_executable = mapping->is_executable();
        mapping->protection = protection;
        mapping->key = new_key;
        protect_pages(*mapping, was_executable, batch);
    }
    merge_around(range);
    return {};
}

/// Moves the pages of `from` to where nothing is mapped. ENOMEM: nothing was moved.
Result<> AddressSpace::move_pages(VirtualRange from, VirtualAddress to, TlbBatch& batch)
{
    bool same_offset = ((from.start.value() ^ to.value()) & (k_large_page_size - 1)) == 0;
    // All that may fail comes first: tables, and large pages that can't stay so at the new place.
    for (u64 offset = 0; offset < from.length;) {
        VirtualAddress source = from.start + offset;
        PageTable::Slot slot = m_table.find(source);
        u64 step = PageTable::span_of(slot.level) - (source.value() & (PageTable::span_of(slot.level) - 1));
        if (*slot.entry != 0) {
            if (slot.level == 1 && !same_offset) {
                const Mapping* mapping = at(source);
                // split_page() splits at an address inside the page.
                TRY(split_page(
                    *mapping, VirtualAddress(align_down(source.value(), k_large_page_size)) + k_page_size, batch));
                continue;
            }
            TRY(m_table.ensure(to + offset, slot.level));
        }
        offset += step;
    }
    m_table.for_each(from, [&](VirtualAddress address, u64& entry, unsigned level) {
        u64* target = m_table.ensure(to + (address - from.start), level).value();
        ASSERT(*target == 0);
        u64 old = PageTable::exchange(entry, 0);
        batch.invalidate(address);
        std::atomic_ref(*target).store(old, std::memory_order_release);
    });
    arch::publish_tables();
    return {};
}

/// Moves the pages of the mapping that is exactly `from` to a new one like it at `target`, `length` bytes long.
Result<> AddressSpace::move(VirtualRange from, u64 length, VirtualAddress target, TlbBatch& batch)
{
    Mapping* mapping = at(from.start);
    auto moved = TRY(make<Mapping>());
    moved->range = { target, length };
    moved->kind = mapping->kind;
    moved->protection = mapping->protection;
    moved->key = mapping->key;
    moved->shared = mapping->shared;
    moved->locked = mapping->locked;
    moved->large_pages = mapping->large_pages;
    moved->small_pages = mapping->small_pages;
    moved->may_write = mapping->may_write;
    moved->file = mapping->file;
    moved->object = mapping->object;
    moved->offset = mapping->offset;
    if (auto result = move_pages({ from.start, std::min(from.length, length) }, target, batch); result.is_error()) {
        m_table.free_tables(moved->range, gap_around(moved->range), batch);
        return result.error();
    }
    // Nothing may use the new place before the old one is forgotten: its frames are the same.
    batch.flush();
    insert(*moved.leak());
    return {};
}

/// The mapping that holds all of `range`. EFAULT: there is none; EPERM: the image's pages are not the allocator's to
/// grow, nor the kernel's the application's to move.
Result<Mapping*> AddressSpace::movable_mapping(VirtualRange range)
{
    Mapping* mapping = at(range.start);
    if (!mapping || mapping->range.end() < range.end())
        return Errno::EFAULT;
    if (!mapping->owns_frames() || mapping->is_fixed())
        return Errno::EPERM;
    return mapping;
}

/// Where to move `range`, `length` bytes long: to `target`, which is made free, or anywhere if that is null. EINVAL: it
/// can't be there.
Result<VirtualAddress> AddressSpace::room_to_move(
    VirtualRange range, u64 length, VirtualAddress target, TlbBatch& batch, Removed& removed)
{
    if (target.is_null()) {
        bool large = length >= k_large_page_size && !at(range.start)->object;
        return find_room(length, large ? k_large_page_size : k_page_size);
    }
    VirtualRange place { target, length };
    if (place.start.value() > arch::address_layout().application_end - place.length || place.start.value() < 64_KiB)
        return Errno::EINVAL;
    if (place.start < range.end() && range.start < place.end())
        return Errno::EINVAL;
    TRY(remove(place, batch, removed));
    return target;
}

Result<VirtualAddress> AddressSpace::move_pages_away(VirtualRange range, VirtualAddress target)
{
    ER_NEEDS(mapping_changes);
    Removed removed;
    Locked lock(m_lock);
    TlbBatch batch;
    Mapping* mapping = TRY(movable_mapping(range));
    if (scans_code() && mapping->is_executable())
        return Errno::EPERM;
    // Shared memory without a file can't be in two places.
    if (mapping->shared && !mapping->object)
        return Errno::EINVAL;
    if (!fits_limit(range.length))
        return Errno::ENOMEM;
    target = TRY(room_to_move(range, range.length, target, batch, removed));
    TRY(split_ends(range, batch));
    TRY(move(range, range.length, target, batch));
    Mapping& left = *at(range.start);
    if (std::exchange(left.locked, false))
        m_locked_bytes -= left.range.length;
    return target;
}

Result<VirtualAddress> AddressSpace::remap(VirtualRange range, u64 length, bool may_move, VirtualAddress target)
{
    ER_NEEDS(mapping_changes);
    Removed removed;
    Locked lock(m_lock);
    TlbBatch batch;
    Mapping* mapping = TRY(movable_mapping(range));
    bool is_fixed = !target.is_null();
    // What lies beside the new place has not been looked at together with this.
    if (scans_code() && mapping->is_executable() && (is_fixed || length > range.length))
        return Errno::EPERM;
    if (length < range.length) {
        TRY(remove({ range.start + length, range.length - length }, batch, removed));
        range.length = length;
    }
    if (!is_fixed && length == range.length)
        return range.start;
    if (!fits_limit(length - range.length))
        return Errno::ENOMEM;

    VirtualRange growth { range.end(), length - range.length };
    Mapping* above = next(*at(range.start));
    bool has_room = at(range.start)->range.end() == range.end() && growth.end().value() <= m_map_top
        && (!above || above->range.start >= growth.end());
    if (!is_fixed && has_room) {
        // In place: the same mapping, longer.
        mapping = at(range.start);
        mapping->range.length += growth.length;
        m_mapped += growth.length;
        if (mapping->locked)
            m_locked_bytes += growth.length;
        bool locked = mapping->locked;
        merge_around(mapping->range);
        if (locked)
            static_cast<void>(populate(growth, false));
        return range.start;
    }
    if (!is_fixed && !may_move)
        return Errno::ENOMEM;
    target = TRY(room_to_move(range, length, target, batch, removed));
    TRY(split_ends(range, batch));
    TRY(move(range, length, target, batch));
    TRY(remove(range, batch, removed));
    if (at(target)->locked)
        static_cast<void>(populate({ target, length }, false));
    return target;
}

Result<> AddressSpace::advise_mapping(Mapping& mapping, VirtualRange part, abi::Advice advice, TlbBatch& batch)
{
    using enum abi::Advice;
    switch (advice) {
    case DontNeed:
    case Free:
        if (mapping.locked || !mapping.owns_frames() || mapping.is_fixed())
            return Errno::EINVAL;
        if (advice == Free && (mapping.object || mapping.shared))
            return Errno::EINVAL;
        // Shared memory keeps its content: it has no other place.
        if (mapping.shared && !mapping.object)
            return {};
        TRY(split_page(mapping, part.start, batch));
        TRY(split_page(mapping, part.end(), batch));
        discard_pages(mapping, part, batch);
        return {};
    case Remove:
        if (mapping.locked || !mapping.shared || mapping.object)
            return Errno::EINVAL;
        TRY(split_page(mapping, part.start, batch));
        TRY(split_page(mapping, part.end(), batch));
        discard_pages(mapping, part, batch);
        return {};
    case WillNeed:
        if (mapping.object)
            mapping.object->read_ahead(mapping.page_index(part.start), part.length >> k_page_shift);
        return {};
    case PopulateRead:
    case PopulateWrite:
        if (advice == PopulateWrite ? !mapping.is_writable() : !mapping.is_readable())
            return Errno::EFAULT;
        return populate(part, advice == PopulateWrite);
    case HugePage:
    case NoHugePage:
        // For the whole mapping: it decides how pages come, not what they hold.
        if (mapping.object || !mapping.owns_frames())
            return Errno::EINVAL;
        mapping.large_pages = advice == HugePage;
        mapping.small_pages = advice == NoHugePage;
        return {};
    default:
        // What is left tells of a fork, of swapping, of dumps or of sharing between processes: nothing to do.
        return {};
    }
}

Result<> AddressSpace::advise(VirtualRange range, abi::Advice advice)
{
    ER_NEEDS(mapping_changes);
    Locked lock(m_lock);
    TlbBatch batch;
    bool has_hole = !is_wholly_mapped(range);
    for (Mapping* mapping = at_or_after(range.start); mapping && mapping->range.start < range.end();
        mapping = next(*mapping))
        TRY(advise_mapping(*mapping, intersection(mapping->range, range), advice, batch));
    return has_hole ? Result<>(Errno::ENOMEM) : Result<>();
}

Result<> AddressSpace::residency(VirtualRange range, std::span<u8> pages)
{
    Locked lock(m_lock);
    if (!is_wholly_mapped(range))
        return Errno::ENOMEM;
    Mapping* mapping = nullptr;
    for (usize i = 0; i < pages.size(); ++i) {
        VirtualAddress page = range.start + i * k_page_size;
        if (!mapping || !mapping->range.contains(page))
            mapping = at(page);
        pages[i] = *m_table.find(page).entry != 0
            || (mapping->object && mapping->object->is_resident(mapping->page_index(page)));
    }
    return {};
}

Result<> AddressSpace::set_locked(VirtualRange range, bool locked, bool fill)
{
    ER_NEEDS(mapping_changes);
    Locked lock(m_lock);
    TlbBatch batch;
    if (!is_wholly_mapped(range))
        return Errno::ENOMEM;
    TRY(split_ends(range, batch));
    for (Mapping* mapping = at_or_after(range.start); mapping && mapping->range.start < range.end();
        mapping = next(*mapping)) {
        if (mapping->locked != locked)
            m_locked_bytes += locked ? mapping->range.length : 0 - mapping->range.length;
        mapping->locked = locked;
    }
    if (locked && fill)
        TRY(populate(range, true));
    if (!locked)
        merge_around(range);
    return {};
}

Result<> AddressSpace::set_all_locked(bool current, bool future, bool fill)
{
    ER_NEEDS(mapping_changes);
    Locked lock(m_lock);
    m_lock_future = future;
    m_populate_future = future && fill;
    m_locked_bytes = 0;
    for (Mapping& mapping : m_mappings) {
        mapping.locked = current && mapping.owns_frames();
        if (mapping.locked)
            m_locked_bytes += mapping.range.length;
        if (mapping.locked && fill)
            static_cast<void>(populate(mapping.range, true)); // as Linux: errors are not told
    }
    return {};
}

Result<> AddressSpace::sync(VirtualRange range, bool wait, bool invalidate)
{
    // The object may ask for unmapping while it writes, so it is called without the lock; the File keeps it alive.
    VirtualAddress position = range.start;
    while (position < range.end()) {
        RefPtr<File> file;
        MemoryObject* object = nullptr;
        VirtualRange part;
        u64 first = 0;
        {
            Locked lock(m_lock);
            Mapping* mapping = at(position);
            if (!mapping)
                return Errno::ENOMEM;
            if (invalidate && mapping->locked)
                return Errno::EBUSY;
            part = intersection(mapping->range, range);
            part = { position, part.end() - position };
            if (mapping->object && mapping->shared) {
                file = mapping->file;
                object = mapping->object;
                first = mapping->page_index(position);
            }
        }
        if (object)
            TRY(object->write_back(first, part.length >> k_page_shift, wait));
        position = part.end();
    }
    return {};
}

void AddressSpace::unmap_object(MemoryObject& object, u64 first, u64 count, bool copies)
{
    Locked lock(m_lock);
    TlbBatch batch;
    for (Mapping& mapping : m_mappings) {
        if (mapping.object != &object)
            continue;
        u64 mapped_first = mapping.offset >> k_page_shift;
        u64 mapped_end = mapped_first + (mapping.range.length >> k_page_shift);
        u64 from = std::max(first, mapped_first);
        u64 to = count > ~u64 { 0 } - first ? mapped_end : std::min(first + count, mapped_end);
        if (from >= to)
            continue;
        VirtualRange part { mapping.range.start + ((from - mapped_first) << k_page_shift),
            (to - from) << k_page_shift };
        if (copies) {
            discard_pages(mapping, part, batch);
            continue;
        }
        m_table.for_each(part, [&](VirtualAddress address, u64& entry, unsigned) {
            if (!Format::attributes(entry | 1).borrowed)
                return;
            PageTable::exchange(entry, 0);
            batch.invalidate(address);
        });
    }
}

void AddressSpace::write_protect_object(MemoryObject& object, u64 first, u64 count)
{
    Locked lock(m_lock);
    TlbBatch batch;
    for (Mapping& mapping : m_mappings) {
        if (mapping.object != &object || !mapping.shared)
            continue;
        u64 mapped_first = mapping.offset >> k_page_shift;
        u64 mapped_end = mapped_first + (mapping.range.length >> k_page_shift);
        u64 from = std::max(first, mapped_first);
        u64 to = count > ~u64 { 0 } - first ? mapped_end : std::min(first + count, mapped_end);
        if (from >= to)
            continue;
        VirtualRange part { mapping.range.start + ((from - mapped_first) << k_page_shift),
            (to - from) << k_page_shift };
        m_table.for_each(part, [&](VirtualAddress address, u64& entry, unsigned level) {
            arch::PageAttributes attributes = Format::attributes(entry | 1);
            if (!Format::is_present(entry) || !attributes.writable)
                return;
            attributes.writable = false;
            PageTable::exchange(entry, Format::leaf_entry(Format::address(entry, level), attributes, level));
            batch.invalidate(address);
        });
    }
}

} // namespace eremite
