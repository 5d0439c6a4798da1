// The one page-table walker, over arch::PageTableFormat. It makes, changes and frees tables; it takes no lock (callers
// have one per half), forgets no translation (TlbBatch does), and owns no frame that a leaf points to.
//
// An entry that isn't present but not zero either is "parked": a leaf whose frame is kept while nobody may touch it
// (PROT_NONE).
#pragma once

#include "arch/paging.h"
#include "base/result.h"
#include "mm/frames.h"
#include <atomic>
#include <span>

namespace eremite {

class TlbBatch;

class PageTable {
public:
    using Format = arch::PageTableFormat;
    static constexpr unsigned k_entries = 512;

    /// Bytes that an entry at `level` covers: 4 KiB, 2 MiB, 1 GiB, 512 GiB.
    static constexpr u64 span_of(unsigned level) { return u64 { k_page_size } << (9 * level); }

    constexpr PageTable() = default;
    constexpr explicit PageTable(PhysicalAddress root)
        : m_root(root)
    {
    }
    PhysicalAddress root() const { return m_root; }

    struct Slot {
        u64* entry { nullptr };
        unsigned level { 0 };
    };
    /// The leaf of `address`, present or parked, or the zero entry that ended the walk (level 0 or higher).
    Slot find(VirtualAddress address) const;
    /// The entry of `address` at `level`, with the tables above it made. EEXIST: a larger page is in the way. ENOMEM.
    Result<u64*> ensure(VirtualAddress address, unsigned level);
    /// Sets a leaf where there was nothing (asserted). ENOMEM.
    Result<> map(VirtualAddress address, PhysicalAddress frame, arch::PageAttributes attributes, unsigned level = 0);

    struct Translation {
        PhysicalAddress address;
        arch::PageAttributes attributes;
        unsigned level { 0 };
    };
    /// What the processor would find for `address`; EFAULT if it isn't present.
    Result<Translation> translate(VirtualAddress address) const;

    /// Makes a page of 2 MiB that straddles `address` into 512 of 4 KiB, so that a range may end there. The frame's own
    /// split is the caller's. Returns where the large page was, if there was one to split. ENOMEM.
    Result<bool> split_at(VirtualAddress address, TlbBatch& batch);

    /// Calls visit(VirtualAddress, u64& entry, unsigned level) for each leaf in the range, parked ones too, in
    /// ascending order. The visitor may change the entry. Leaves that straddle an end are visited whole: split first.
    template<typename Visitor> void for_each(VirtualRange range, Visitor visit) const
    {
        if (range.length == 0)
            return;
        u64 last = range.end().value() - 1;
        if (((range.start.value() ^ last) & ~(span_of(1) - 1)) != 0)
            return visit_table(m_root, Format::k_levels - 1, range.start.value(), last, visit);
        // Within one lowest table, as it is most often: no need to come back up.
        Slot slot = find(range.start);
        if (slot.level != 0) {
            if (*slot.entry != 0)
                visit(VirtualAddress(align_down(range.start.value(), span_of(slot.level))), *slot.entry, slot.level);
            return;
        }
        auto entries = table_of(*slot.entry);
        u64 address = range.start.value();
        for (unsigned i = Format::index(range.start, 0); address <= last; ++i, address += k_page_size) {
            if (entries[i] != 0)
                visit(VirtualAddress(address), entries[i], 0);
        }
    }

    /// After the leaves of `range` are gone: frees those tables on the way to it that serve nothing else, which is when
    /// all they cover lies in `gap`, the space around `range` where nothing is mapped. Must be called for each range
    /// that is unmapped, for the next call relies on it. The frames go to `batch`, since processors cache tables too.
    /// Tables that aren't the allocator's (boot's) stay.
    void free_tables(VirtualRange range, VirtualRange gap, TlbBatch& batch);

    /// A leaf that is kept but not present, and back.
    static u64 parked(u64 entry) { return entry & ~u64 { 1 }; }
    static bool is_parked(u64 entry) { return entry != 0 && !Format::is_present(entry); }
    static u64 unparked(u64 entry) { return entry | 1; }
    static_assert(!Format::is_present(Format::leaf_entry(PhysicalAddress(), {}, 0) & ~u64 { 1 }));
    static_assert(!Format::is_present(Format::leaf_entry(PhysicalAddress(), {}, 1) & ~u64 { 1 }));

    /// Writes an entry that the processor may be looking at, and returns what it was with the marks that the processor
    /// made meanwhile.
    static u64 exchange(u64& entry, u64 value)
    {
        return std::atomic_ref(entry).exchange(value, std::memory_order_acq_rel);
    }

    /// The table that `entry` is in.
    static std::span<u64, k_entries> table_of(u64& entry)
    {
        return std::span<u64, k_entries>(
            reinterpret_cast<u64*>(align_down(reinterpret_cast<u64>(&entry), k_page_size)), k_entries);
    }
    static std::span<u64, k_entries> table_at(PhysicalAddress table)
    {
        return std::span<u64, k_entries>(static_cast<u64*>(direct_map(table)), k_entries);
    }

private:
    template<typename Visitor>
    static void visit_table(PhysicalAddress table, unsigned level, u64 first, u64 last, Visitor& visit)
    {
        auto entries = table_at(table);
        u64 span = span_of(level);
        u64 mask = span - 1;
        unsigned end = Format::index(VirtualAddress(last), level);
        u64 address = first;
        for (unsigned i = Format::index(VirtualAddress(first), level); i <= end; ++i) {
            u64& entry = entries[i];
            if (entry != 0) {
                bool leaf = level <= 2 && (level == 0 || !Format::is_present(entry) || Format::is_leaf(entry, level));
                if (leaf)
                    visit(VirtualAddress(address & ~mask), entry, level);
                else if (level > 0)
                    visit_table(
                        Format::address(entry, level), level - 1, address, std::min(last, address | mask), visit);
            }
            address = (address | mask) + 1;
        }
    }

    static void free_below(
        PhysicalAddress table, unsigned level, u64 first, u64 last, VirtualRange gap, TlbBatch& batch);

    PhysicalAddress m_root;
};

} // namespace eremite
