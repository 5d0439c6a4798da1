// The power button sends SIGTERM. In the image where something sets actions for signals: without, there is nobody to
// tell, and the monitor ends the machine by itself.
#include "arch/power_button.h"

#include "abi/signal.h"
#include "base/component.h"
#include "sched/signal_hooks.h"

namespace eremite {

namespace {

Result<> initialize_power_button()
{
    auto result = arch::watch_power_button([] { send_kernel_signal(abi::k_sigterm); });
    // Many machines have none.
    if (result.is_error() && result.error() == Errno::ENODEV)
        return {};
    return result;
}

} // namespace

} // namespace eremite

ER_COMPONENT(power_button, eremite::Stage::Device, eremite::initialize_power_button);
