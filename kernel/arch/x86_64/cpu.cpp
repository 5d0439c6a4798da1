#include "arch/cpu.h"

#include "arch/context.h"
#include "arch/paging.h"
#include "arch/platform.h"
#include "arch/x86_64/cpu_state.h"
#include "arch/x86_64/early.h"
#include "arch/x86_64/io.h"
#include "arch/x86_64/key_sites.h"
#include "arch/x86_64/vectors.h"
#include "boot/boot_info.h"
#include "boot/image.h"

#include <algorithm>

extern "C" {
extern char __eremite_boot_stack[];
/// One stub of 8 bytes per vector, from 0; traps.S.
extern const char __eremite_vector_stubs[] __attribute__((visibility("hidden")));
}

namespace eremite::arch {

namespace {

constinit PerCpu s_boot_cpu;
constinit NativeCpu s_boot_native;

constinit EntryStacks s_boot_entry_stacks {};

#if EREMITE_ISOLATION == 2
alignas(k_page_size) constinit DescriptorPage s_boot_descriptors {};
#else
alignas(16) constinit std::array<Gate, k_vector_count> s_idt {};
#endif

struct [[gnu::packed]] TablePointer {
    u16 limit;
    u64 base;
};

EntryStack stack_of(u32 vector)
{
    if (vector == k_vector_nmi || vector == k_vector_machine_check)
        return EntryStack::Nmi;
    if (vector == k_vector_double_fault)
        return EntryStack::DoubleFault;
    return vector < k_first_interrupt_vector ? EntryStack::Exception : EntryStack::Interrupt;
}

void fill_idt(std::span<Gate, k_vector_count> idt)
{
    u64 stub = reinterpret_cast<u64>(__eremite_vector_stubs);
    for (u32 vector = 0; vector < k_vector_count; ++vector, stub += 8) {
        idt[vector] = {
            .offset_low = static_cast<u16>(stub),
            .selector = k_kernel_code,
            .ist = static_cast<u8>(stack_of(vector)),
            .type = 0x8e, // present interrupt gate: interrupts off
            .offset_middle = static_cast<u16>(stub >> 16),
            .offset_high = static_cast<u32>(stub >> 32),
            .reserved = 0,
        };
    }
}

#if EREMITE_ISOLATION != 2
template<usize Size> NativeCpu::Bounds bounds_of(std::array<u8, Size>& stack)
{
    u64 bottom = reinterpret_cast<u64>(stack.data());
    return { bottom, bottom + Size };
}
#endif

} // namespace

void adopt_boot_processor()
{
#if EREMITE_ISOLATION == 2
    auto physical = [](const void* object) {
        return boot_info().image.start.value() + (reinterpret_cast<u64>(object) - image_base().value());
    };
    map_early_pages(k_processor_area, physical(&s_boot_descriptors), k_page_size, {});
    set_entry_stacks(s_boot_native);
    for (const NativeCpu::Bounds& stack : s_boot_native.entry_stacks)
        map_early_pages(stack.bottom, physical(&s_boot_entry_stacks) + (stack.bottom - PROCESSOR_STACKS),
            stack.top - stack.bottom, { .writable = true });
    s_boot_native.descriptors = &s_boot_descriptors;
#else
    s_boot_native.entry_stacks = { bounds_of(s_boot_entry_stacks.interrupt), bounds_of(s_boot_entry_stacks.exception),
        bounds_of(s_boot_entry_stacks.nmi), bounds_of(s_boot_entry_stacks.double_fault) };
    fill_idt(s_idt);
#endif
    s_boot_cpu.kernel_stack_bottom = reinterpret_cast<u64>(__eremite_boot_stack) + k_page_size;
    s_boot_cpu.kernel_stack_top = s_boot_cpu.kernel_stack_bottom + k_boot_stack_size;
    load_processor_state(s_boot_cpu, s_boot_native);
}

void initialize_cpu_early()
{
    // All was done before the first line of portable code ran.
}

VirtualRange boot_stack()
{
    return { VirtualAddress(s_boot_cpu.kernel_stack_bottom), k_boot_stack_size };
}

void load_processor_state(PerCpu& cpu, NativeCpu& native)
{
    cpu.self = &cpu;
    cpu.native = &native;

#if EREMITE_ISOLATION == 2
    DescriptorPage& tables = *native.descriptors;
    fill_idt(tables.idt);
    tables.self = &cpu;
    u64 task_state = k_processor_area + offsetof(DescriptorPage, task_state);
#else
    NativeCpu& tables = native;
    u64 task_state = reinterpret_cast<u64>(&native.task_state);
#endif
    for (usize i = 0; i < k_entry_stack_count; ++i)
        tables.task_state.ist[i] = native.entry_stacks[i].top;
    tables.gdt = { 0, 0x00af9b000000ffff, 0x00cf93000000ffff,
        (sizeof(TaskState) - 1) | (task_state & 0xff'ffff) << 16 | u64 { 0x89 } << 40 | (task_state >> 24 & 0xff) << 56,
        task_state >> 32 };

    TablePointer gdt { sizeof(tables.gdt) - 1, reinterpret_cast<u64>(tables.gdt.data()) };
#if EREMITE_ISOLATION == 2
    TablePointer idt { sizeof(tables.idt) - 1, k_processor_area + offsetof(DescriptorPage, idt) };
#else
    TablePointer idt { sizeof(s_idt) - 1, reinterpret_cast<u64>(s_idt.data()) };
#endif
    asm volatile(ER_KEY_SITE(erased) "lgdt %0" : : "m"(gdt));
    asm volatile("pushq %0; leaq 1f(%%rip), %%rax; pushq %%rax; lretq; 1:" : : "i"(k_kernel_code) : "rax", "memory");
    asm volatile("mov %0, %%ss; mov %1, %%ds; mov %1, %%es; mov %1, %%fs; mov %1, %%gs"
        :
        : "r"(u32 { k_kernel_data }), "r"(0));
    asm volatile(ER_KEY_SITE(erased) "ltr %w0" : : "r"(u32 { k_task_state }));
#if EREMITE_ISOLATION == 2
    // Loading the task register wrote to the table. From now on nothing does.
    gdt.base = k_processor_area + offsetof(DescriptorPage, gdt);
    asm volatile(ER_KEY_SITE(erased) "lgdt %0" : : "m"(gdt));
#endif
    asm volatile(ER_KEY_SITE(erased) "lidt %0" : : "m"(idt));
    write_msr(k_msr_gs_base, reinterpret_cast<u64>(&cpu));

    CpuId basic = cpuid(1);
    CpuId structured = cpuid(7);
    u64 cr4 = read_cr4() | k_cr4_fxsr | k_cr4_sse_exceptions | k_cr4_fsgsbase;
    if ((structured.ebx & (1u << 7)) != 0)
        cr4 |= k_cr4_smep;
    if ((structured.ecx & (1u << 2)) != 0)
        cr4 |= k_cr4_umip;
    // XSAVE serves what FXSAVE can't: without AVX there is nothing. (QEMU 7.2's TCG never gets past this instruction
    // with a processor that has XSAVE and no AVX.)
    constexpr u32 xsave_and_avx = 1u << 26 | 1u << 28;
    if ((basic.ecx & xsave_and_avx) == xsave_and_avx)
        cr4 |= k_cr4_osxsave;
#if EREMITE_ISOLATION == 2
    if (keys_are_on())
        cr4 |= k_cr4_protection_keys;
    write_cr4(cr4);
    if (keys_are_on())
        write_rights(k_initial_rights);
#else
    write_cr4(cr4);
#endif
    if ((cr4 & k_cr4_osxsave) != 0)
        write_xcr0(vector_state_mask());
    // PAT entry 1 (PWT alone): write-combining in place of write-through.
    write_msr(k_msr_pat, 0x0007040600070106);
    // Reset leaves MXCSR as the ABI wants it, the x87 control word not.
    asm volatile("fninit");
}

void seal_early_stacks()
{
    set_early_entry(reinterpret_cast<u64>(__eremite_boot_stack), 0);
#if EREMITE_ISOLATION != 2
    for (const NativeCpu::Bounds& stack : s_boot_native.entry_stacks)
        set_early_entry(stack.bottom - k_page_size, 0);
#endif
}

bool hardware_random(u64& value)
{
    // RDSEED may run dry for a while, RDRAND practically never fails; ten attempts are what Intel recommends.
    if (cpuid(0).eax >= 7 && (cpuid(7).ebx & (1u << 18)) != 0) {
        for (int i = 0; i < 10; ++i) {
            u64 word;
            bool good;
            asm volatile("rdseed %0" : "=r"(word), "=@ccc"(good));
            if (good) {
                value = word;
                return true;
            }
            relax();
        }
    }
    if ((cpuid(1).ecx & (1u << 30)) != 0) {
        for (int i = 0; i < 10; ++i) {
            u64 word;
            bool good;
            asm volatile("rdrand %0" : "=r"(word), "=@ccc"(good));
            if (good) {
                value = word;
                return true;
            }
        }
    }
    value = 0;
    return false;
}

ProcessorFacts processor_facts()
{
    // Bit 1 of AT_HWCAP2: the application may use RDFSBASE and its like.
    return { .capabilities = cpuid(1).edx,
        .capabilities2 = 2,
        .minimum_signal_stack = vector_state_size() + 1024,
        .platform = "x86_64" };
}

u64 timing_jitter()
{
    // How long a trip to the serial port's scratch register takes depends on the host's caches and its load.
    u64 before = cycle_counter();
    in8(0x3ff);
    u64 after = cycle_counter();
    return (after - before) ^ (after << 32);
}

} // namespace eremite::arch
