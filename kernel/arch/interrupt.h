// Interrupt controllers, seen from drivers: a handler is bound to a source; message-signalled sources get a message.
#pragma once

#include "base/result.h"
#include "base/types.h"

namespace eremite::arch {

/// Runs with interrupts off on an entry stack; must be short and never sleep.
using InterruptHandler = void (*)(void* context);

/// What a device writes to signal an interrupt (PCI MSI-X table entry).
struct MsiMessage {
    u64 address { 0 };
    u32 data { 0 };
};

enum class Trigger : u8 { EdgeRising, LevelHigh, LevelLow };

/// Binds a fresh vector (or LPI) to `handler` on processor `cpu`. `device_id` is the requester id
/// (bus/device/function), needed by GIC's ITS. ENOSPC: no vector left; ENOTSUP: no controller that takes messages.
Result<MsiMessage> bind_message_interrupt(u32 device_id, u32 cpu, InterruptHandler handler, void* context);

/// Binds a wired interrupt: GSI number (x86_64, IOAPIC or legacy PIC), INTID (aarch64, GIC). Several handlers may share
/// a level-triggered line. EINVAL: no such line.
Result<> bind_wired_interrupt(u32 line, Trigger trigger, InterruptHandler handler, void* context);

/// Asks `cpu` to look at PerCpu::pending (reschedule, signals).
void send_reschedule(u32 cpu);
/// Has every processor in `cpu_mask` (not this one) run `function(context)` in interrupt context, and waits for them.
/// Interrupts must be on, or another processor that does the same would deadlock with this one.
void call_on_processors(u64 cpu_mask, void (*function)(void*), void* context);

} // namespace eremite::arch
