#include "arch/platform.h"
#include "device/console.h"

namespace eremite {

ER_DEFINE_PART(SerialInputPart, serial_input, arch::early_console_read, arch::early_console_enable_input)

Result<> enable_console_input(void (*handler)())
{
    ER_NEEDS(serial_input);
    g_console_input_handler.store(handler, std::memory_order_release);
    return console().enable_input(handler);
}

} // namespace eremite
