// Isolation `mpk`: tables of each processor's own (rights.h). All but one of their top-level entries are those of the
// boot processor's root, and follow it.
#include "arch/x86_64/cpu_state.h"

#if EREMITE_ISOLATION == 2

#include "arch/paging.h"
#include "mm/frames.h"

#include <algorithm>
#include <atomic>

namespace eremite::arch {

namespace {

using Format = PageTableFormat;
using Table = std::span<u64, 512>;

/// Roots of the other processors. They are never freed.
constinit std::array<std::atomic<u64>, k_max_cpus> s_followers {};

Table table_at(PhysicalAddress table)
{
    return Table(static_cast<u64*>(direct_map(table)), 512);
}

Result<> map_own(Table pages, VirtualAddress address, bool writable)
{
    PhysicalAddress frame = TRY(allocate_zeroed_frame());
    pages[Format::index(address, 0)] = Format::leaf_entry(frame, { .writable = writable }, 0);
    return {};
}

} // namespace

void set_entry_stacks(NativeCpu& native)
{
    u64 bottom = PROCESSOR_STACKS;
    for (usize i = 0; i < k_entry_stack_count; ++i) {
        bottom += k_page_size; // the guard
        u64 size = entry_stack_size(static_cast<EntryStack>(i + 1));
        native.entry_stacks[i] = { bottom, bottom + size };
        bottom += size;
    }
}

void set_key_access(u32 key, u32 denied)
{
    // Rights are the thread's: a switch keeps them with it.
    write_rights((read_rights() & ~(3u << 2 * key)) | denied << 2 * key);
}

u32 key_access(u32 key)
{
    return read_rights() >> 2 * key & 3;
}

void root_entry_changed(unsigned index, u64 entry)
{
    for (const std::atomic<u64>& root : s_followers) {
        u64 address = root.load(std::memory_order_acquire);
        if (address == 0)
            return;
        std::atomic_ref(table_at(PhysicalAddress(address))[index]).store(entry, std::memory_order_release);
    }
}

Result<PhysicalAddress> create_processor_tables(NativeCpu& native)
{
    // If memory ends, what has been taken is lost: the machine runs with fewer processors.
    PhysicalAddress root = TRY(allocate_zeroed_frame());
    Table table = table_at(root);
    unsigned own = Format::index(VirtualAddress(k_processor_area), Format::k_levels - 1);
    for (unsigned level = Format::k_levels - 1; level > 0; --level) {
        PhysicalAddress next = TRY(allocate_zeroed_frame());
        table[Format::index(VirtualAddress(k_processor_area), level)] = Format::table_entry(next);
        table = table_at(next);
    }
    TRY(map_own(table, VirtualAddress(k_processor_area), false));
    native.descriptors = static_cast<DescriptorPage*>(
        direct_map(Format::address(table[Format::index(VirtualAddress(k_processor_area), 0)], 0)));
    set_entry_stacks(native);
    for (const NativeCpu::Bounds& stack : native.entry_stacks) {
        for (u64 page = stack.bottom; page < stack.top; page += k_page_size)
            TRY(map_own(table, VirtualAddress(page), true));
    }

    for (std::atomic<u64>& follower : s_followers) {
        u64 none = 0;
        if (follower.compare_exchange_strong(none, root.value()))
            break;
    }
    // Another thread may be changing the root meanwhile.
    Table from = table_at(page_table_root({}));
    Table to = table_at(root);
    for (unsigned i = 0; i < to.size(); ++i) {
        if (i == own)
            continue;
        u64 entry;
        do {
            entry = std::atomic_ref(from[i]).load(std::memory_order_acquire);
            std::atomic_ref(to[i]).store(entry, std::memory_order_release);
        } while (std::atomic_ref(from[i]).load(std::memory_order_acquire) != entry);
    }
    return root;
}

} // namespace eremite::arch

#endif
