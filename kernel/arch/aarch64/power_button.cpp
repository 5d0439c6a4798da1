// The power button of QEMU's virt machine without ACPI: line 3 of a PL061 (Arm DDI 0190, 3.2), as its device tree's
// gpio-keys say.
#include "arch/power_button.h"

#include "arch/aarch64/early.h"
#include "arch/interrupt.h"
#include "mm/device_memory.h"

#include <span>

namespace eremite::arch {

namespace {

// In words.
constexpr usize k_sense = 0x404 / 4;
constexpr usize k_both_edges = 0x408 / 4;
constexpr usize k_event = 0x40c / 4;
constexpr usize k_enable = 0x410 / 4;
constexpr usize k_clear = 0x41c / 4;
constexpr u32 k_button = 1u << 3;

constinit std::span<volatile u32> s_registers;
constinit void (*s_pressed)() = nullptr;

void on_event(void*)
{
    s_registers[k_clear] = k_button;
    s_pressed();
}

} // namespace

Result<> watch_power_button(void (*pressed)())
{
    auto node = device_tree().find_compatible("arm,pl061");
    if (!node || !device_tree().find_compatible("gpio-keys"))
        return Errno::ENODEV;
    auto interrupt = TRY(node.interrupt(0));
    void* registers = TRY(map_device_memory({ TRY(node.reg(0)).start, k_page_size }));
    s_registers = { static_cast<volatile u32*>(registers), k_page_size / sizeof(u32) };
    s_pressed = pressed;
    s_registers[k_sense] = 0; // edges
    s_registers[k_both_edges] = 0;
    s_registers[k_event] = k_button; // rising
    s_registers[k_clear] = 0xff;
    TRY(bind_wired_interrupt(
        interrupt.number, interrupt.edge ? Trigger::EdgeRising : Trigger::LevelHigh, on_event, nullptr));
    s_registers[k_enable] = k_button;
    return {};
}

} // namespace eremite::arch
