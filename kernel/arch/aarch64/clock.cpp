// The generic timer (Arm ARM, D11): a counter whose rate CNTFRQ_EL0 tells, and the virtual timer's compare register.
#include "arch/clock.h"

#include "arch/aarch64/early.h"
#include "arch/aarch64/gic.h"
#include "arch/cpu.h"
#include "base/log.h"
#include "boot/boot_info.h"
#include "mm/device_memory.h"

namespace eremite::arch {

namespace {

constexpr u32 k_virtual_timer = 27; // the binding's usual place; the device tree may say otherwise

constinit ClockConversion s_conversion;
constinit u64 s_to_ticks { 0 }; // per nanosecond, 32.32

u64 scale(u64 value, u64 factor)
{
    return static_cast<u64>((static_cast<unsigned __int128>(value) * factor) >> 32);
}

void on_timer(void*)
{
    asm volatile("msr cntv_ctl_el0, %0; isb" : : "r"(u64 { 0 }));
    timer_interrupt();
}

} // namespace

void initialize_clock()
{
    u64 frequency;
    asm("mrs %0, cntfrq_el0" : "=r"(frequency));
    if (frequency == 0) {
        // Firmware should have set it; the device tree may know.
        frequency = device_tree().known(DeviceTree::Known::Timer).property("clock-frequency").cell(0);
        if (frequency == 0)
            early_fatal("neither CNTFRQ_EL0 nor the device tree tell the rate of the timer");
    }
    s_conversion
        = { .base_cycles = boot_info().entry_cycles, .valid_for = ~u64 { 0 }, .multiplier = ~u64 { 0 } / frequency };
    // Rounded up, so that a timer never fires before its time.
    s_to_ticks = (frequency << 32) / Nanoseconds::k_per_second + 1;
}

void initialize_timer_interrupt()
{
    u32 number = k_virtual_timer;
    // Secure, physical, virtual, hypervisor.
    auto interrupt = device_tree().known(DeviceTree::Known::Timer).interrupt(2);
    if (interrupt.has_value())
        number = interrupt.value().number;
    else if (interrupt.error() == Errno::ELOOP)
        early_fatal("device tree: interrupt controllers refer to one another in a circle");
    else if (interrupt.error() != Errno::ENOENT)
        early_fatal("device tree: the timer's interrupt leads to no controller");
    if (number >= k_first_shared_interrupt)
        early_fatal("device tree: the timer's interrupt is not each processor's own");
    set_private_handler(number, on_timer);
    enable_private_interrupt(number);
}

Nanoseconds now()
{
    ER_NEEDS(clock);
    return s_conversion.at(cycle_counter() - s_conversion.base_cycles);
}

ClockConversion clock_conversion()
{
    ER_NEEDS(clock);
    return s_conversion;
}

// The rate is told once and for all.
void set_clock_listener(void (*)()) { }

void set_timer(Nanoseconds deadline)
{
    if (deadline == Nanoseconds::max()) {
        asm volatile("msr cntv_ctl_el0, %0; isb" : : "r"(u64 { 0 }));
        return;
    }
    u64 nanoseconds = deadline.value() > 0 ? static_cast<u64>(deadline.value()) : 0;
    u64 ticks = s_conversion.base_cycles + scale(nanoseconds, s_to_ticks) + 1;
    asm volatile("msr cntv_cval_el0, %0; msr cntv_ctl_el0, %1; isb" : : "r"(ticks), "r"(u64 { 1 }) : "memory");
}

i64 boot_wall_seconds()
{
    // PL031 (Arm DDI 0224): the data register counts seconds since 1970.
    auto node = device_tree().known(DeviceTree::Known::WallClock);
    if (!node)
        return 0;
    auto range = node.reg(0);
    if (range.is_error())
        return 0;
    auto registers = map_device_memory(range.value());
    if (registers.is_error())
        return 0;
    u32 seconds = *static_cast<volatile u32*>(registers.value());
    return static_cast<i64>(seconds) - now().seconds();
}

ER_DEFINE_PART(ClockPart, clock, initialize_clock, now)

} // namespace eremite::arch
