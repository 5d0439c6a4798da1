// x86_64's page-table entries (Intel SDM 3A, 4.5): four levels, 48-bit addresses. And where the kernel's half begins.
#pragma once

namespace eremite::arch {

/// Physical memory is visible from here on (mm/frames.h: direct_map()). The image's own segments are left out: they are
/// mapped once, where they run.
inline constexpr u64 k_direct_map_base = 0xffff'8000'0000'0000;
/// What mm places in the kernel's half (stacks, device registers) lies in [k_kernel_area_base, k_kernel_area_end).
inline constexpr u64 k_kernel_area_base = 0xffff'c000'0000'0000;
inline constexpr u64 k_kernel_area_end = 0xffff'f000'0000'0000;
/// One past the highest address of the application's half; the last page stays free, as on Linux.
inline constexpr u64 k_application_end = 0x7fff'ffff'f000;

struct PageTableFormat {
    static constexpr unsigned k_levels = 4;

    static constexpr u64 k_present = 1u << 0;
    static constexpr u64 k_writable = 1u << 1;
    static constexpr u64 k_user = 1u << 2;
    static constexpr u64 k_write_through = 1u << 3;
    static constexpr u64 k_cache_disable = 1u << 4;
    static constexpr u64 k_accessed = 1u << 5;
    static constexpr u64 k_dirty = 1u << 6;
    static constexpr u64 k_large = 1u << 7;
    static constexpr u64 k_global = 1u << 8;
    static constexpr u64 k_no_execute = u64 { 1 } << 63;
    static constexpr unsigned k_key_shift = 59;
    static constexpr u64 k_address_mask = 0x000f'ffff'ffff'f000;

    /// A table forbids nothing: leaves decide.
    static constexpr u64 table_entry(PhysicalAddress table)
    {
        return table.value() | k_present | k_writable | k_user | k_accessed;
    }

    static constexpr u64 leaf_entry(PhysicalAddress address, PageAttributes attributes, unsigned level)
    {
        u64 entry = address.value() | k_present | (static_cast<u64>(attributes.key & 15) << k_key_shift);
        if (attributes.writable)
            entry |= k_writable;
        if (!attributes.executable)
            entry |= k_no_execute;
        if (attributes.application)
            entry |= k_user;
        if (level > 0)
            entry |= k_large;
        // The power-on PAT: 0 write-back, 1 write-through, 2 UC-, 3 UC; boot sets 1 to write-combining.
        if (attributes.cache == CacheMode::Uncached)
            entry |= k_cache_disable | k_write_through;
        else if (attributes.cache == CacheMode::WriteCombining)
            entry |= k_write_through;
        return entry;
    }

    static constexpr bool is_present(u64 entry) { return (entry & k_present) != 0; }
    static constexpr bool is_leaf(u64 entry, unsigned level) { return level == 0 || (entry & k_large) != 0; }
    static constexpr PhysicalAddress address(u64 entry, unsigned level)
    {
        u64 mask = k_address_mask;
        if (level > 0 && (entry & k_large) != 0)
            mask &= ~((u64 { k_page_size } << (9 * level)) - 1);
        return PhysicalAddress(entry & mask);
    }
    static constexpr PageAttributes attributes(u64 entry)
    {
        PageAttributes result;
        result.writable = (entry & k_writable) != 0;
        result.executable = (entry & k_no_execute) == 0;
        result.application = (entry & k_user) != 0;
        result.key = static_cast<u8>((entry >> k_key_shift) & 15);
        if ((entry & k_cache_disable) != 0)
            result.cache = CacheMode::Uncached;
        else if ((entry & k_write_through) != 0)
            result.cache = CacheMode::WriteCombining;
        return result;
    }
    static constexpr bool is_dirty(u64 entry) { return (entry & k_dirty) != 0; }
    static constexpr bool is_accessed(u64 entry) { return (entry & k_accessed) != 0; }
    static constexpr u64 clear_accessed(u64 entry) { return entry & ~k_accessed; }
    static constexpr unsigned index(VirtualAddress address, unsigned level)
    {
        return static_cast<unsigned>((address.value() >> (k_page_shift + 9 * level)) & 511);
    }
};

inline PhysicalAddress page_table_root(VirtualAddress)
{
    u64 root;
    asm volatile("mov %%cr3, %0" : "=r"(root));
    return PhysicalAddress(root & PageTableFormat::k_address_mask);
}

inline void invalidate_page(VirtualAddress address)
{
    asm volatile("invlpg (%0)" : : "r"(address.value()) : "memory");
}

inline void invalidate_all()
{
    u64 root;
    asm volatile("mov %%cr3, %0; mov %0, %%cr3" : "=&r"(root) : : "memory");
}

inline void publish_tables() { }
inline void synchronize_instructions(VirtualAddress, usize) { }

} // namespace eremite::arch
