// What a program finds on its stack when it starts: arguments, environment, auxiliary vector (System V ABI, 3.4.1).
#pragma once

#include "base/result.h"
#include "base/types.h"

namespace eremite {

/// Writes it to the end of `stack`, from the command line and the image's layout. Returns the stack pointer to start
/// with. E2BIG: arguments and environment take more than a quarter of the stack.
Result<u64> write_initial_stack(VirtualRange stack, u64 entry);

} // namespace eremite
