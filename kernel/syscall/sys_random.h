// System calls on random numbers.
#pragma once

#include "syscall/dispatch.h"

namespace eremite {

/// Blocks until the generator is seeded, unless GRND_NONBLOCK (EAGAIN) or GRND_INSECURE.
Result<long> sys_getrandom(UserPointer<u8> buffer, usize length, u32 flags);
RESTARTS(sys_getrandom);

} // namespace eremite
