// /dev.
#pragma once

#include "base/result.h"

namespace eremite {

/// Mounts it, and from then on character devices can be opened.
Result<> mount_devices();

} // namespace eremite
