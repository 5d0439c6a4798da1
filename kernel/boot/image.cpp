#include "boot/image.h"

#include "sched/signal_hooks.h"

namespace eremite {

bool is_application_code(u64 address)
{
    return !is_kernel_text(address);
}

} // namespace eremite
