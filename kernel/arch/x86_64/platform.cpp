#include "arch/platform.h"

#include "arch/cpu.h"
#include "arch/interrupt.h"
#include "arch/x86_64/early.h"
#include "arch/x86_64/io.h"

#include <array>

namespace eremite::arch {

namespace {

// 16550 (National Semiconductor PC16550D).
constexpr u16 k_serial = 0x3f8;
constexpr u16 k_line_status = k_serial + 5;
constexpr u8 k_data_ready = 1u << 0;
constexpr u8 k_transmitter_empty = 1u << 5;

constexpr u16 k_debug_console = 0xe9;
constexpr u16 k_debug_exit = 0xf4;
constexpr u16 k_power_management = 0x604;

void write_decimal(int number, u16 port)
{
    std::array<u8, 10> digits;
    usize count = 0;
    do {
        digits[count++] = static_cast<u8>('0' + number % 10);
        number /= 10;
    } while (number != 0);
    while (count > 0)
        out8(port, digits[--count]);
}

} // namespace

void early_console_write(std::string_view text)
{
    for (char c : text) {
        // A port that isn't there reads as all ones, and so as ready.
        while ((in8(k_line_status) & k_transmitter_empty) == 0)
            relax();
        out8(k_serial, static_cast<u8>(c));
    }
}

int early_console_read()
{
    u8 status = in8(k_line_status);
    if (status == 0xff || (status & k_data_ready) == 0)
        return -1;
    return in8(k_serial);
}

Result<> early_console_enable_input(void (*handler)())
{
    if (in8(k_line_status) == 0xff)
        return Errno::ENODEV;
    // Handlers take no argument here, but a context there: it is the handler.
    TRY(bind_wired_interrupt(
        4, Trigger::EdgeRising, [](void* context) { reinterpret_cast<void (*)()>(context)(); },
        reinterpret_cast<void*>(handler)));
    // The FIFOs stay off: turning them on drops a byte that has come already.
    out8(k_serial + 4, 0x0b); // DTR, RTS, and OUT2, which lets interrupts through
    out8(k_serial + 1, 0x01); // received data
    return {};
}

void early_fatal(std::string_view message)
{
    early_console_write("eremite: error: ");
    early_console_write(message);
    early_console_write("\n");
    power_off(k_kernel_failure);
}

void power_off(int status)
{
    disable_interrupts();
    status &= 0xff;
    if (in8(k_debug_console) == 0xe9) {
        for (char c : std::string_view("exit "))
            out8(k_debug_console, static_cast<u8>(c));
        write_decimal(status, k_debug_console);
        out8(k_debug_console, '\n');
    }
    out32(k_debug_exit, static_cast<u32>(status & 0x7f));
    // pc and q35: sleep enable, type 0 is S5 there.
    out16(k_power_management, 0x2000);
    // The keyboard controller's reset line, where there is one.
    out8(0x64, 0xfe);
#if EREMITE_ISOLATION != 2 // there would be LIDT for the application to jump to (key_sites.h)
    // What is left is a triple fault: an interrupt without a descriptor table.
    struct [[gnu::packed]] {
        u16 limit { 0 };
        u64 base { 0 };
    } nothing;
    asm volatile(ER_KEY_SITE(erased) "lidt %0; int3" : : "m"(nothing));
#endif
    while (true)
        asm volatile("cli; hlt");
}

} // namespace eremite::arch
