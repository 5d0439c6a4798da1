// x86_64's page tables: what an entry looks like is in page_table_format.h; where the kernel's half begins.
#pragma once

#include "arch/x86_64/key_sites.h"
#include "native/page_table_format.h"

namespace eremite::arch {

/// Physical memory is visible from here on (mm/frames.h: direct_map()). The image's own segments are left out: they are
/// mapped once, where they run.
inline constexpr u64 k_direct_map_base = 0xffff'8000'0000'0000;
/// What mm places in the kernel's half (stacks, device registers) lies in [k_kernel_area_base, k_kernel_area_end).
inline constexpr u64 k_kernel_area_base = 0xffff'c000'0000'0000;
inline constexpr u64 k_kernel_area_end = 0xffff'f000'0000'0000;
/// One past the highest address of the application's half; the last page stays free, as on Linux.
inline constexpr u64 k_application_end = 0x7fff'ffff'f000;

inline constexpr AddressLayout k_address_layout { k_direct_map_base, k_kernel_area_base, k_kernel_area_end,
    k_application_end };
constexpr const AddressLayout& address_layout()
{
    return k_address_layout;
}

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

/// With protection keys there is no MOV to CR3 that the application could jump to (key_sites.h).
#if defined(EREMITE_ISOLATION) && EREMITE_ISOLATION == 2
inline constexpr bool k_can_invalidate_all = false;
#else
inline constexpr bool k_can_invalidate_all = true;
#endif

inline void invalidate_all()
{
    u64 root;
    asm volatile("mov %%cr3, %0\n" ER_KEY_SITE(erased) "mov %0, %%cr3" : "=&r"(root) : : "memory");
}

inline void clear_page(void* page)
{
    // Sixteen bytes a store, by one register that is saved: string instructions have a long start-up, and under
    // emulation each word of theirs costs like an instruction. The zeroes are loaded: where KVM emulates the kernel's
    // instructions it knows moves of vector registers, and no arithmetic on them.
    u64 saved[2];
    constexpr u64 zeroes[2] {};
    void* end = page;
    asm volatile("movups %%xmm0, %[saved]\n"
                 "movups %[zeroes], %%xmm0\n"
                 "lea 4096(%[page]), %[end]\n"
                 "1:\n"
                 ".set offset, 0\n"
                 ".rept 32\n"
                 "movaps %%xmm0, offset(%[page])\n"
                 ".set offset, offset + 16\n"
                 ".endr\n"
                 "add $512, %[page]\n"
                 "cmp %[end], %[page]\n"
                 "jne 1b\n"
                 "movups %[saved], %%xmm0"
        : [page] "+r"(page), [end] "=&r"(end), [saved] "=m"(saved)
        : [zeroes] "m"(zeroes)
        : "memory", "cc");
}

#if EREMITE_ISOLATION == 2
/// A top-level entry of the one root that mm knows has changed: other processors have roots of their own.
void root_entry_changed(unsigned index, u64 entry);
bool keys_are_on(); // set by early boot
void set_key_access(u32 key, u32 denied);
u32 key_access(u32 key);
#else
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
#endif

inline void publish_tables() { }
inline void synchronize_instructions(VirtualAddress, usize) { }

} // namespace eremite::arch
