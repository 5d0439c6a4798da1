// Page tables on arch `host`: x86_64's, in an arena that plays physical memory; walked by software only (the tests'
// own).
#pragma once

#include "../../x86_64/native/page_table_format.h"

namespace eremite::arch {

/// Where the arena of machine.h is, in the test process: clear of what the sanitizers use.
inline constexpr u64 k_direct_map_base = 0x2000'0000'0000;
inline constexpr u64 k_kernel_area_base = 0xffff'c000'0000'0000;
inline constexpr u64 k_kernel_area_end = 0xffff'f000'0000'0000;
inline constexpr u64 k_application_end = 0x7fff'ffff'f000;

inline constexpr AddressLayout k_address_layout { k_direct_map_base, k_kernel_area_base, k_kernel_area_end,
    k_application_end };
constexpr const AddressLayout& address_layout()
{
    return k_address_layout;
}

PhysicalAddress page_table_root(VirtualAddress address);
void invalidate_page(VirtualAddress address);
inline constexpr bool k_can_invalidate_all = true;
void invalidate_all();
inline void clear_page(void* page)
{
    __builtin_memset(page, 0, k_page_size);
}
inline void publish_tables() { }
inline void synchronize_instructions(VirtualAddress, usize) { }

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
