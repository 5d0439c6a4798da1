// What each processor needs of its own: descriptor tables, task-state segment, entry stacks. Private to arch/x86_64.
#pragma once

#include "arch/cpu.h"
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

/// PerCpu::native points to it.
struct NativeCpu {
    alignas(16) std::array<u64, 5> gdt {};
    TaskState task_state;
    struct Bounds {
        u64 bottom { 0 };
        u64 top { 0 };
    };
    std::array<Bounds, k_entry_stack_count> entry_stacks; // index EntryStack - 1
    Nanoseconds timer_deadline { Nanoseconds::max() };
    u64 fault_address { 0 }; // between the entry stack and the thread's
};

/// Size of an entry stack, without its guard page.
constexpr usize entry_stack_size(EntryStack stack)
{
    return stack == EntryStack::Interrupt ? 16_KiB : 8_KiB;
}

inline constexpr usize k_boot_stack_size = 16_KiB;

/// Gives the boot processor its PerCpu, descriptor tables and entry stacks.
void adopt_boot_processor();
/// Gives the calling processor its own: GS, GDT, TSS, the common IDT, control registers. Entry stacks are set in
/// `native`.
void load_processor_state(PerCpu& cpu, NativeCpu& native);
/// Takes the guard pages of boot and entry stacks out of the image's mapping.
void seal_early_stacks();

/// XSAVE: components that are enabled, and how much memory their state takes (FXSAVE: 512).
u64 vector_state_mask();

} // namespace eremite::arch
