// aarch64's page-table entries (Arm ARM, D8.3): 4 KiB granule, stage 1 of EL1. TTBR0 holds the application's half,
// TTBR1 the kernel's. Numbers of levels count from the leaves here: 3 is the root.
//
// Addresses have 48 bits, or 39 (`address-bits=39`), with which the processor walks one level less. The tables are the
// same: the processor is then given the one table of level 2 that the first entry of the lower root leads to, and that
// the last entry of the upper root leads to, and the roots are for software alone.
#pragma once

namespace eremite::arch {

inline constexpr AddressLayout k_layout_48 { .direct_map = 0xffff'0000'0000'0000,
    .kernel_area = 0xffff'c000'0000'0000,
    .kernel_area_end = 0xffff'f000'0000'0000,
    // As on x86_64: programs that tag pointers expect no more.
    .application_end = 0x7fff'ffff'f000 };
inline constexpr AddressLayout k_layout_39 { .direct_map = 0xffff'ff80'0000'0000,
    .kernel_area = 0xffff'ffc0'0000'0000,
    .kernel_area_end = 0xffff'fff0'0000'0000,
    .application_end = 0x7f'ffff'f000 };

/// Set by early boot.
extern AddressLayout g_address_layout;
inline const AddressLayout& address_layout()
{
    return g_address_layout;
}

/// The roots of the lower and the upper half; set by early boot.
extern u64 g_table_roots[2];

/// The bit that makes BTI apply to a page; 0 where the processor has none. Set once, before the first table is made.
extern u64 g_guarded_page;

struct PageTableFormat {
    static constexpr unsigned k_levels = 4;

    static constexpr u64 k_valid = 1u << 0;
    static constexpr u64 k_table = 1u << 1; // or a page, at level 0
    static constexpr unsigned k_attribute_shift = 2; // index into MAIR_EL1, as entry.S sets it
    static constexpr u64 k_attribute_normal = 0;
    static constexpr u64 k_attribute_device = 1;
    static constexpr u64 k_attribute_uncached = 2;
    static constexpr u64 k_attribute_mask = 7u << k_attribute_shift;
    static constexpr u64 k_read_only = 1u << 7;
    static constexpr u64 k_inner_shareable = 3u << 8;
    static constexpr u64 k_accessed = 1u << 10;
    static constexpr u64 k_privileged_no_execute = u64 { 1 } << 53;
    static constexpr u64 k_no_execute = u64 { 1 } << 54; // at EL0, where nothing of ours ever runs
    static constexpr u64 k_application = u64 { 1 } << 55; // ours to use
    static constexpr unsigned k_key_shift = 56; // likewise, two bits: there is no hardware behind them
    static constexpr u64 k_borrowed = u64 { 1 } << 58; // likewise
    static constexpr u64 k_address_mask = 0x0000'ffff'ffff'f000;

    static constexpr u64 table_entry(PhysicalAddress table) { return table.value() | k_valid | k_table; }

    static constexpr u64 leaf_entry(PhysicalAddress address, PageAttributes attributes, unsigned level)
    {
        u64 entry = address.value() | k_valid | k_accessed | k_inner_shareable | k_no_execute
            | (static_cast<u64>(attributes.key & 3) << k_key_shift);
        if (level == 0)
            entry |= k_table;
        if (!attributes.writable)
            entry |= k_read_only;
        if (!attributes.executable)
            entry |= k_privileged_no_execute;
        if (attributes.application)
            entry |= k_application;
        if (attributes.borrowed)
            entry |= k_borrowed;
        if (attributes.cache == CacheMode::Uncached)
            entry |= k_attribute_device << k_attribute_shift;
        else if (attributes.cache == CacheMode::WriteCombining)
            entry |= k_attribute_uncached << k_attribute_shift;
        if !consteval {
            if (attributes.executable && !attributes.application)
                entry |= g_guarded_page;
        }
        return entry;
    }

    static constexpr bool is_present(u64 entry) { return (entry & k_valid) != 0; }
    static constexpr bool is_leaf(u64 entry, unsigned level) { return level == 0 || (entry & k_table) == 0; }
    static constexpr PhysicalAddress address(u64 entry, unsigned level)
    {
        u64 mask = k_address_mask;
        if (is_leaf(entry, level))
            mask &= ~((u64 { k_page_size } << (9 * level)) - 1);
        return PhysicalAddress(entry & mask);
    }
    static constexpr PageAttributes attributes(u64 entry)
    {
        PageAttributes result;
        result.writable = (entry & k_read_only) == 0;
        result.executable = (entry & k_privileged_no_execute) == 0;
        result.application = (entry & k_application) != 0;
        result.borrowed = (entry & k_borrowed) != 0;
        result.key = static_cast<u8>((entry >> k_key_shift) & 3);
        u64 attribute = (entry & k_attribute_mask) >> k_attribute_shift;
        if (attribute == k_attribute_device)
            result.cache = CacheMode::Uncached;
        else if (attribute == k_attribute_uncached)
            result.cache = CacheMode::WriteCombining;
        return result;
    }
    /// Not every processor marks what it writes (FEAT_HAFDBS), so what can be written counts as written, and all that
    /// is mapped as accessed.
    static constexpr bool is_dirty(u64 entry) { return (entry & k_read_only) == 0; }
    static constexpr bool is_accessed(u64 entry) { return (entry & k_accessed) != 0; }
    static constexpr u64 clear_accessed(u64 entry) { return entry; }
    static constexpr unsigned index(VirtualAddress address, unsigned level)
    {
        return static_cast<unsigned>((address.value() >> (k_page_shift + 9 * level)) & 511);
    }
};

inline PhysicalAddress page_table_root(VirtualAddress address)
{
    return PhysicalAddress((address.value() >> 55) != 0 ? g_table_roots[1] : g_table_roots[0]);
}

// The hardware tells the other processors (the inner shareable domain), which is more than the contract asks.
inline void invalidate_page(VirtualAddress address)
{
    u64 operand = (address.value() >> k_page_shift) & ((u64 { 1 } << 44) - 1);
    asm volatile("dsb ishst; tlbi vaae1is, %0; dsb ish; isb" : : "r"(operand) : "memory");
}

inline constexpr bool k_can_invalidate_all = true;
inline void invalidate_all()
{
    asm volatile("dsb ishst; tlbi vmalle1is; dsb ish; isb" ::: "memory");
}

inline void publish_tables()
{
    asm volatile("dsb ishst; isb" ::: "memory");
}

inline void clear_page(void* page)
{
    u64 end = reinterpret_cast<u64>(page) + k_page_size;
    u64 block;
    asm("mrs %0, dczid_el0" : "=r"(block));
    // The usual block of 64 bytes, and not forbidden.
    if (block == 4) [[likely]] {
        asm volatile("1: dc zva, %0; add %0, %0, #64; dc zva, %0; add %0, %0, #64\n"
                     "dc zva, %0; add %0, %0, #64; dc zva, %0; add %0, %0, #64\n"
                     "cmp %0, %1; b.ne 1b"
            : "+r"(page)
            : "r"(end)
            : "memory", "cc");
        return;
    }
    asm volatile("1: stp xzr, xzr, [%0]; stp xzr, xzr, [%0, #16]; stp xzr, xzr, [%0, #32]; stp xzr, xzr, [%0, #48]\n"
                 "add %0, %0, #64; cmp %0, %1; b.ne 1b"
        : "+r"(page)
        : "r"(end)
        : "memory", "cc");
}

void synchronize_instructions(VirtualAddress start, usize length);

inline bool keys_are_on()
{
    return false;
}
inline void set_key_access(u32, u32) { }
inline u32 key_access(u32)
{
    return 0;
}
inline void root_entry_changed(unsigned, u64) { }

} // namespace eremite::arch
