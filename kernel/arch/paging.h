// Page tables: what an entry looks like on this architecture. mm/page_table.h has the one walker over it.
#pragma once

#include "base/isolation.h"
#include "base/types.h"

namespace eremite::arch {

enum class CacheMode : u8 { Normal, Uncached, WriteCombining };

/// What may be done with a page, by whom.
struct PageAttributes {
    bool writable { false };
    bool executable { false };
    bool application { false }; // the user bit on x86_64 in `mpk` (data only); bookkeeping elsewhere
    u8 key { 0 }; // protection key; 0 where the processor has none
    CacheMode cache { CacheMode::Normal };
    bool borrowed { false }; // the frame is not the mapping's to free; a bit of the entry that the processor ignores
    constexpr bool operator==(const PageAttributes&) const = default;
};

/// What the kernel's own data are mapped with: under the trusted key, where there are keys, which apply to pages with
/// the user bit alone.
inline constexpr PageAttributes k_kernel_data_attributes {
    .writable = true, .application = k_has_keys, .key = k_trusted_key
};

/// Which addresses are whose; final before the first table is made. `const AddressLayout& address_layout()` is in
/// native/paging.h, constexpr where there is nothing to choose.
struct AddressLayout {
    u64 direct_map; // physical memory is visible from here on, but for the image's own segments
    u64 kernel_area; // what mm places in the kernel's half (stacks, device registers) lies from here
    u64 kernel_area_end; // to here
    u64 application_end; // one past the highest address of the application's half
};

// native/paging.h defines `struct PageTableFormat` with:
//     static constexpr unsigned k_levels;                    4: level 3 is the root, level 0 holds 4 KiB leaves
//     static constexpr u64 table_entry(PhysicalAddress);     points to a table one level down
//     static constexpr u64 leaf_entry(PhysicalAddress, PageAttributes, unsigned level);   level 0: 4 KiB, 1: 2 MiB
//     static constexpr bool is_present(u64 entry);
//     static constexpr bool is_leaf(u64 entry, unsigned level);
//     static constexpr PhysicalAddress address(u64 entry, unsigned level);
//     static constexpr PageAttributes attributes(u64 entry);
//     static constexpr bool is_dirty(u64), is_accessed(u64); static constexpr u64 clear_accessed(u64);
//     static constexpr unsigned index(VirtualAddress, unsigned level);

/// Root table that translates `address` on this processor now (CR3; TTBR0 or TTBR1 by half).
PhysicalAddress page_table_root(VirtualAddress address);

/// Whether protection keys are in force (isolation `mpk`, and a processor that has them). Then: what the running thread
/// may not do with the pages of one of the application's keys, 1: access, 2: write.
bool keys_are_on();
void set_key_access(u32 key, u32 denied);
u32 key_access(u32 key);

/// Forgets this processor's translations of one page, or of all of the application's and kernel's.
void invalidate_page(VirtualAddress address);
void invalidate_all(); // only where k_can_invalidate_all
/// Makes table updates visible to the walker before what follows (DSB; nothing on x86_64).
void publish_tables();
/// After top-level entry `index` of a root was written: on x86_64 with keys, each processor has a root of its own.
void root_entry_changed(unsigned index, u64 entry);
/// After new instructions were written: data and instruction caches agree on the range (nothing on x86_64).
void synchronize_instructions(VirtualAddress start, usize length);

/// Fills a page with zero. May run where vector registers hold the application's values: it leaves them as they are.
void clear_page(void* page);

} // namespace eremite::arch

#include "native/paging.h"
