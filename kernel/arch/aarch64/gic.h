// The interrupt controller, GICv2 or GICv3 (Arm IHI 0048, IHI 0069), as the device tree describes it. Private to
// arch/aarch64; drivers see arch/interrupt.h.
#pragma once

#include "arch/interrupt.h"
#include "base/result.h"
#include "base/types.h"

namespace eremite::arch {

inline constexpr u32 k_first_shared_interrupt = 32; // below: SGIs (0-15) and PPIs (16-31), a set per processor
inline constexpr u32 k_interrupt_lines = 1020;
inline constexpr u32 k_first_lpi = 8192;
inline constexpr u32 k_lpi_count = 512;

inline constexpr u32 k_sgi_reschedule = 0;
inline constexpr u32 k_sgi_call = 1;

/// Takes what is pending on this processor and runs its handlers. Interrupts off.
void dispatch_interrupts();

/// Sets up the calling processor's part of the controller; for the boot processor the distributor as well.
void initialize_interrupt_controller();
void initialize_interrupt_processor();

/// SGIs and PPIs: the same handler on all processors.
void set_private_handler(u32 number, void (*handler)(void*), void* context = nullptr);
void enable_private_interrupt(u32 number);
/// Raises SGI `number` on `cpu`.
void send_private_interrupt(u32 cpu, u32 number);

/// Runs the handlers bound to a wired line or LPI. For the controller's own use.
void run_handlers(u32 number);

/// GICv3's translation of messages (its.cpp). EOPNOTSUPP: no ITS.
Result<MsiMessage> bind_translated_message(u32 device_id, u32 cpu, InterruptHandler handler, void* context);
/// Base address of the calling processor's redistributor, physical, and its number; GICv3 only.
struct Redistributor {
    u8* registers { nullptr };
    u64 physical { 0 };
    u32 processor_number { 0 };
};
Redistributor redistributor_of(u32 cpu);

/// clock.cpp's part of initialize_interrupts; also once per processor.
void initialize_timer_interrupt();

/// Registers of a device, 32 and 64 bits wide.
inline u32 read32(const u8* registers, usize offset)
{
#pragma clang unsafe_buffer_usage begin // registers of a device: the offset is a register's number, not data
    return *reinterpret_cast<const volatile u32*>(registers + offset);
#pragma clang unsafe_buffer_usage end
}
inline void write32(u8* registers, usize offset, u32 value)
{
#pragma clang unsafe_buffer_usage begin // likewise
    *reinterpret_cast<volatile u32*>(registers + offset) = value;
#pragma clang unsafe_buffer_usage end
}
inline u64 read64(const u8* registers, usize offset)
{
#pragma clang unsafe_buffer_usage begin // likewise
    return *reinterpret_cast<const volatile u64*>(registers + offset);
#pragma clang unsafe_buffer_usage end
}
inline void write64(u8* registers, usize offset, u64 value)
{
#pragma clang unsafe_buffer_usage begin // likewise
    *reinterpret_cast<volatile u64*>(registers + offset) = value;
#pragma clang unsafe_buffer_usage end
}
inline void write8(u8* registers, usize offset, u8 value)
{
#pragma clang unsafe_buffer_usage begin // likewise
    *reinterpret_cast<volatile u8*>(registers + offset) = value;
#pragma clang unsafe_buffer_usage end
}

} // namespace eremite::arch
