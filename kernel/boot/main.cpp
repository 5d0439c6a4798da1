#include "boot/main.h"

#include "arch/platform.h"
#include "base/log.h"
#include "boot/boot_info.h"

namespace eremite {

void kernel_main()
{
    set_log_writer(arch::early_console_write);
    set_log_level(LogLevel::Debug);
    const BootInfo& info = boot_info();
    log_notice("up, {} ranges, command line \"{}\"", info.range_count, info.command_line);
    arch::power_off(0);
}

} // namespace eremite
