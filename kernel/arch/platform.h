// The machine around the processor: console of last resort, power, more processors.
#pragma once

#include "base/result.h"
#include "base/types.h"
#include <string_view>

namespace eremite {
struct BootInfo;
}

namespace eremite::arch {

/// Descriptor tables, entry stacks, per-processor block of the boot processor; before anything that may fault.
void initialize_cpu_early();
/// The stack that kernel_main runs on; it has a guard page below it.
VirtualRange boot_stack();
/// Interrupt controllers, timer; after the memory manager.
void initialize_interrupts(const BootInfo& info);

/// Takes out of the kernel's text what would serve the application against it, once all processors are up and before
/// the application starts. Nothing at isolation levels without keys.
void seal_code();

/// Writes to the serial port by polling; serves the log and the panic before any driver. Also returns what has been
/// typed: -1 if nothing.
void early_console_write(std::string_view text);
int early_console_read();
/// Has `handler` called in interrupt context when input is there.
Result<> early_console_enable_input(void (*handler)());

/// Ends the virtual machine with the program's exit status, 0 to 255; docs/boot.md says how the host learns it.
[[noreturn]] void power_off(int status);
/// The status where it is the kernel that failed: as if by SIGABRT.
inline constexpr int k_kernel_failure = 134;

/// What a program learns of the processor from its auxiliary vector.
struct ProcessorFacts {
    u64 capabilities { 0 }; // AT_HWCAP
    u64 capabilities2 { 0 }; // AT_HWCAP2
    usize minimum_signal_stack { 2048 }; // AT_MINSIGSTKSZ
    const char* platform { "" }; // AT_PLATFORM
};
ProcessorFacts processor_facts();

/// How many processors the firmware tables list, and starts number `cpu` (1, 2, ...): `entry` runs on it on the stack
/// ending at `stack_top`, with its PerCpu set, interrupts off. EIO: it didn't come up.
u32 processor_count();
Result<> start_processor(u32 cpu, u64 stack_top, void (*entry)(void*), void* argument);

/// Bounds of a machine's own random seed, if the boot protocol brought one, are in BootInfo; this stirs in timing.
u64 timing_jitter();

} // namespace eremite::arch
