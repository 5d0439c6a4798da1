// What each processor needs of its own: descriptor tables, task-state segment, entry stacks. Private to arch/x86_64.
#pragma once

#include "arch/cpu.h"
#include "arch/x86_64/processor_area.h"
#include "arch/x86_64/rights.h"
#include "arch/x86_64/vectors.h"
#include "base/types.h"
#include <array>
#include <span>

namespace eremite::arch {

inline constexpr u16 k_kernel_code = 0x08;
inline constexpr u16 k_kernel_data = 0x10;
inline constexpr u16 k_task_state = 0x18;

/// Entry stacks (IST): who enters on which. Each has a guard page below it.
enum class EntryStack : u8 { None = 0, Interrupt = 1, Exception = 2, Nmi = 3, DoubleFault = 4 };
inline constexpr usize k_entry_stack_count = 4;

/// Size of an entry stack, without its guard page.
constexpr usize entry_stack_size(EntryStack stack)
{
    return stack == EntryStack::Interrupt ? 16_KiB : 8_KiB;
}

/// Intel SDM 3A, 8.7.
struct [[gnu::packed]] TaskState {
    u32 reserved0 { 0 };
    std::array<u64, 3> rsp {};
    u64 reserved1 { 0 };
    std::array<u64, 7> ist {};
    u64 reserved2 { 0 };
    u16 reserved3 { 0 };
    u16 io_map { sizeof(TaskState) };
};
static_assert(sizeof(TaskState) == 104);

/// Intel SDM 3A, 6.14.1.
struct Gate {
    u16 offset_low;
    u16 selector;
    u8 ist;
    u8 type;
    u16 offset_middle;
    u32 offset_high;
    u32 reserved;
};

/// A guard page, then the stack; four times.
struct EntryStacks {
    alignas(k_page_size) std::array<u8, k_page_size> interrupt_guard;
    std::array<u8, entry_stack_size(EntryStack::Interrupt)> interrupt;
    std::array<u8, k_page_size> exception_guard;
    std::array<u8, entry_stack_size(EntryStack::Exception)> exception;
    std::array<u8, k_page_size> nmi_guard;
    std::array<u8, entry_stack_size(EntryStack::Nmi)> nmi;
    std::array<u8, k_page_size> double_fault_guard;
    std::array<u8, entry_stack_size(EntryStack::DoubleFault)> double_fault;
};

#if EREMITE_ISOLATION == 2
/// The first page of the processor's own area (rights.h), read-only there.
struct DescriptorPage {
    alignas(16) std::array<u64, 5> gdt {};
    alignas(16) TaskState task_state;
    alignas(16) std::array<Gate, k_vector_count> idt {};
    alignas(8) std::array<u8, PROCESSOR_SELF - PROCESSOR_AREA - 2208> padding {};
    PerCpu* self { nullptr };
};
static_assert(sizeof(DescriptorPage) == k_page_size && k_processor_area == PROCESSOR_AREA);
static_assert(PROCESSOR_STACKS == PROCESSOR_AREA + k_page_size && PROCESSOR_STACKS_SIZE == sizeof(EntryStacks));
#endif

/// PerCpu::native points to it.
struct NativeCpu {
#if EREMITE_ISOLATION == 2
    DescriptorPage* descriptors { nullptr }; // where the kernel can write it
#else
    alignas(16) std::array<u64, 5> gdt {};
    TaskState task_state;
#endif
    struct Bounds {
        u64 bottom { 0 };
        u64 top { 0 };
    };
    std::array<Bounds, k_entry_stack_count> entry_stacks; // index EntryStack - 1
    Nanoseconds timer_deadline { Nanoseconds::max() };
    u64 fault_address { 0 }; // between the entry stack and the thread's
};

inline constexpr usize k_boot_stack_size = 16_KiB;

/// Gives the boot processor its PerCpu, descriptor tables and entry stacks.
void adopt_boot_processor();
/// Gives the calling processor its own: GS, GDT, TSS, the common IDT, control registers. Entry stacks are set in
/// `native`.
void load_processor_state(PerCpu& cpu, NativeCpu& native);
/// Takes the guard pages of boot and entry stacks out of the image's mapping.
void seal_early_stacks();

#if EREMITE_ISOLATION == 2
/// Tables of a processor's own, the area of its own among them; its root. The area's stacks are noted in `native`.
/// ENOMEM.
Result<PhysicalAddress> create_processor_tables(NativeCpu& native);
/// Notes where the entry stacks are: the same for all.
void set_entry_stacks(NativeCpu& native);
#endif

/// XSAVE: components that are enabled, and how much memory their state takes (FXSAVE: 512).
u64 vector_state_mask();
/// The components that are turned on, known once they are; to ask the processor is slow in a virtual machine.
u64 active_vector_state();

} // namespace eremite::arch
