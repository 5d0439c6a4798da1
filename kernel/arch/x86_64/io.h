// Port input and output, model-specific registers, CPUID, control registers.
#pragma once

#include "arch/x86_64/key_sites.h"
#include "base/types.h"

namespace eremite::arch {

inline void out8(u16 port, u8 value)
{
    asm volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}
inline void out16(u16 port, u16 value)
{
    asm volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}
inline void out32(u16 port, u32 value)
{
    asm volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}
inline u8 in8(u16 port)
{
    u8 value;
    asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}
inline u16 in16(u16 port)
{
    u16 value;
    asm volatile("inw %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}
inline u32 in32(u16 port)
{
    u32 value;
    asm volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

inline constexpr u32 k_msr_apic_base = 0x1b;
inline constexpr u32 k_msr_pat = 0x277;
inline constexpr u32 k_msr_tsc_deadline = 0x6e0;
inline constexpr u32 k_msr_x2apic = 0x800;
inline constexpr u32 k_msr_efer = 0xc0000080;
inline constexpr u32 k_msr_gs_base = 0xc0000101;

/// Whether write_msr() may be called while the application runs. With protection keys it may not: there is none left in
/// the kernel's text by then for the application to jump to (key_sites.h). The APIC is then used by its registers in
/// memory, which have the kernel's key.
#if defined(EREMITE_ISOLATION) && EREMITE_ISOLATION == 2
inline constexpr bool k_may_write_model_registers = false;
#else
inline constexpr bool k_may_write_model_registers = true;
#endif

inline u64 read_msr(u32 msr)
{
    u32 low;
    u32 high;
    asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    return (static_cast<u64>(high) << 32) | low;
}
inline void write_msr(u32 msr, u64 value)
{
    asm volatile(ER_KEY_SITE(erased) "wrmsr"
        :
        : "c"(msr), "a"(static_cast<u32>(value)), "d"(static_cast<u32>(value >> 32))
        : "memory");
}

struct CpuId {
    u32 eax, ebx, ecx, edx;
};
inline CpuId cpuid(u32 leaf, u32 subleaf = 0)
{
    CpuId result;
    asm volatile("cpuid"
        : "=a"(result.eax), "=b"(result.ebx), "=c"(result.ecx), "=d"(result.edx)
        : "a"(leaf), "c"(subleaf));
    return result;
}

inline constexpr u64 k_cr0_write_protect = 1u << 16;
inline constexpr u64 k_cr4_global_pages = 1u << 7;
inline constexpr u64 k_cr4_fxsr = 1u << 9;
inline constexpr u64 k_cr4_sse_exceptions = 1u << 10;
inline constexpr u64 k_cr4_umip = 1u << 11;
inline constexpr u64 k_cr4_fsgsbase = 1u << 16;
inline constexpr u64 k_cr4_osxsave = 1u << 18;
inline constexpr u64 k_cr4_smep = 1u << 20;
inline constexpr u64 k_cr4_protection_keys = 1u << 22;

inline u64 read_cr0()
{
    u64 value;
    asm volatile("mov %%cr0, %0" : "=r"(value));
    return value;
}
inline void write_cr0(u64 value)
{
    asm volatile(ER_KEY_SITE(erased) "mov %0, %%cr0" : : "r"(value) : "memory");
}
inline u64 read_cr2()
{
    u64 value;
    asm volatile("mov %%cr2, %0" : "=r"(value));
    return value;
}
inline u64 read_cr3()
{
    u64 value;
    asm volatile("mov %%cr3, %0" : "=r"(value));
    return value;
}
inline void write_cr3(u64 value)
{
    asm volatile(ER_KEY_SITE(erased) "mov %0, %%cr3" : : "r"(value) : "memory");
}
inline u64 read_cr4()
{
    u64 value;
    asm volatile("mov %%cr4, %0" : "=r"(value));
    return value;
}
inline void write_cr4(u64 value)
{
    asm volatile(ER_KEY_SITE(erased) "mov %0, %%cr4" : : "r"(value) : "memory");
}
/// XCR0.
inline void write_xcr0(u64 value)
{
    asm volatile(ER_KEY_SITE(erased) "xsetbv"
        :
        : "c"(0), "a"(static_cast<u32>(value)), "d"(static_cast<u32>(value >> 32)));
}

} // namespace eremite::arch
