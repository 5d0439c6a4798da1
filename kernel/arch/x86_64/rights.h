// Isolation `mpk`: the rights register PKRU (Intel SDM 3A, 4.6.2), whose code runs, and the part of the address space
// that each processor has for itself. Assembly shares it: rights.inc. Private to arch/x86_64.
//
// PKRU has two bits per key: 2k forbids all data accesses to pages with key k, 2k+1 forbids writes. It applies to pages
// with the user bit, at every privilege level. So every writable page has that bit, and a key.
//
// The application never holds the kernel's keys. The kernel keeps the application's own bits and opens its keys beside
// them, so that a copy to memory that the application has closed to itself fails, as on Linux.
//
// There is code that opens keys: the gates and the entry stubs. Wherever such an instruction stands, what follows it
// makes sure that having jumped right to it, with any register values, is of no use: PerCpu::domain, in trusted memory,
// says whose code this processor runs, and only gates and stubs change it.
#pragma once

#include "arch/cpu.h"
#include "arch/paging.h"
#include "arch/x86_64/key_sites.h"
#include "base/isolation.h"
#include "base/types.h"
#include <array>

/// In an asm statement, behind an instruction that is of use to who jumps to it: ends there, unless the kernel runs.
#if EREMITE_ISOLATION == 2
#define ER_ONLY_KERNEL "\n\tcmpl $1, %%gs:16\n\tje 7f\n\tud2\n7:"
#else
#define ER_ONLY_KERNEL
#endif

namespace eremite::arch {

/// PerCpu::domain, TrapFrame::domain.
inline constexpr u64 k_domain_application = 0;
inline constexpr u64 k_domain_kernel = 1;
inline constexpr u64 k_domain_untrusted = 2;

inline constexpr u32 k_trusted_bits = 3u << (2 * 1);
inline constexpr u32 k_untrusted_bits = 3u << (2 * 2);
inline constexpr u32 k_kernel_bits = k_trusted_bits | k_untrusted_bits;
/// What the kernel needs open: its constants have key 0.
inline constexpr u32 k_open_bits = k_kernel_bits | 3;
/// What a program begins with, and every signal handler: Linux's init_pkru, key 0 alone.
inline constexpr u32 k_initial_rights = 0x5555'5554 | k_kernel_bits;

/// The processor's own top-level slot: the same addresses show other memory on each. Pages are the supervisor's, since
/// the processor delivers exceptions with the interrupted code's rights.
inline constexpr u64 k_processor_area = 0xffff'ffff'8000'0000;

inline u32 read_rights()
{
    u32 rights;
    asm volatile("rdpkru" : "=a"(rights) : "c"(0) : "rdx");
    return rights;
}

/// For kernel code, which runs with the kernel's keys open.
inline void write_rights(u32 rights)
{
    asm volatile(ER_KEY_SITE(checked) "wrpkru" ER_ONLY_KERNEL
        :
        : "a"(rights & ~k_open_bits), "c"(0), "d"(0)
        : "memory", "cc");
}

} // namespace eremite::arch
