// The tree that a program finds: the root in memory, filled from the boot's archive and from the one packed into the
// image, devices on /dev, processes on /proc, and what `mount=` on the command line asks for.
#pragma once

#include "base/result.h"

namespace eremite {

/// Mounts the root; called by the component at boot, and by tests.
Result<> mount_root_file_system();

} // namespace eremite
