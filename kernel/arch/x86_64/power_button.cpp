// The fixed-hardware power button of ACPI (6.5, 4.8.3.1): a bit of the PM1 event registers, and the system control
// interrupt.
#include "arch/power_button.h"

#include "arch/interrupt.h"
#include "arch/x86_64/acpi.h"
#include "arch/x86_64/io.h"

#include <span>

namespace eremite::arch {

namespace {

constexpr u16 k_power_button = 1u << 8; // in PM1_STS and PM1_EN
constexpr u16 k_sci_enable = 1u << 0; // in PM1_CNT
/// In the FADT (ACPI 6.5, 5.2.9).
constexpr usize k_sci_line = 46;
constexpr usize k_smi_command = 48;
constexpr usize k_acpi_enable = 52;
constexpr usize k_event_block = 56;
constexpr usize k_control_block = 64;
constexpr usize k_event_length = 88;
constexpr usize k_flags = 112;
constexpr u32 k_no_fixed_button = 1u << 4;

constinit u16 s_status_port = 0;
constinit void (*s_pressed)() = nullptr;

u32 field(std::span<const u8> table, usize offset, usize size)
{
    u32 value = 0;
    if (offset + size <= table.size())
        __builtin_memcpy(&value, table.subspan(offset, size).data(), size);
    return value;
}

/// How the interrupt's line is wired: the MADT says where it isn't as ISA's (5.2.12.5).
struct Wiring {
    u32 line { 0 };
    Trigger trigger { Trigger::LevelLow };
};
Wiring wiring_of(u32 interrupt)
{
    constexpr usize header = 44;
    constexpr u8 source_override = 2;
    Wiring wiring { .line = interrupt };
    std::span<const u8> table = acpi_table("APIC");
    for (usize offset = header; offset + 2 <= table.size();) {
        std::span<const u8> entry = table.subspan(offset);
        const usize length = entry[1];
        if (length < 2 || length > entry.size())
            break;
        if (entry[0] == source_override && field(entry, 3, 1) == interrupt) {
            const u32 flags = field(entry, 8, 2);
            wiring.line = field(entry, 4, 4);
            wiring.trigger = (flags & 3) == 3 || (flags & 3) == 0 ? Trigger::LevelLow : Trigger::LevelHigh;
        }
        offset += length;
    }
    return wiring;
}

void on_event(void*)
{
    const u16 status = in16(s_status_port);
    if ((status & k_power_button) == 0)
        return;
    out16(s_status_port, k_power_button); // written to be cleared
    s_pressed();
}

} // namespace

Result<> watch_power_button(void (*pressed)())
{
    std::span<const u8> description = acpi_table("FACP");
    const u32 events = field(description, k_event_block, 4);
    const u32 length = field(description, k_event_length, 1);
    if (events == 0 || length < 4 || (field(description, k_flags, 4) & k_no_fixed_button) != 0)
        return Errno::ENODEV;
    s_status_port = static_cast<u16>(events);
    s_pressed = pressed;
    const auto control = static_cast<u16>(field(description, k_control_block, 4));
    const auto command = static_cast<u16>(field(description, k_smi_command, 4));
    // Until it is told otherwise, firmware keeps the events to itself.
    if (command != 0 && (in16(control) & k_sci_enable) == 0)
        out8(command, static_cast<u8>(field(description, k_acpi_enable, 1)));
    const Wiring wiring = wiring_of(field(description, k_sci_line, 2));
    TRY(bind_wired_interrupt(wiring.line, wiring.trigger, on_event, nullptr));
    out16(s_status_port, k_power_button);
    out16(static_cast<u16>(events + length / 2), k_power_button);
    return {};
}

} // namespace eremite::arch
