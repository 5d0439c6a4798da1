// x86_64's page-table entries (Intel SDM 3A, 4.5): four levels, 48-bit addresses. Apart from native/paging.h because
// arch `host` builds and walks the same tables.
#pragma once

namespace eremite::arch {

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
    static constexpr u64 k_borrowed = 1u << 9; // ours to use
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
        if (attributes.borrowed)
            entry |= k_borrowed;
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
        result.borrowed = (entry & k_borrowed) != 0;
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

} // namespace eremite::arch
