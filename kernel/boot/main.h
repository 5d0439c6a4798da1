// The kernel's composition: what runs in which order from the end of early boot to the application.
#pragma once

namespace eremite {

/// Called by the architecture's early boot on the boot processor's own stack: image mapped and relocated, direct map
/// there, boot_info() filled, interrupts off.
[[noreturn]] void kernel_main();

} // namespace eremite
