// Prints system calls as strace does, each on a line, when it returns: command line `strace`. An image holds it only if
// it was linked with `eremite-clang --strace` (`./eremite build --strace`, `run --strace`), which names its component's
// record: formats and the names of errors would be a sixth of a hello world.
#pragma once

#include "arch/cpu.h"

namespace eremite {

/// Whether system calls are traced, on this processor and so on all. Without strace in the image they never are.
inline bool is_traced()
{
    return (arch::this_cpu().pending.load(std::memory_order_relaxed) & arch::k_pending_trace) != 0;
}

} // namespace eremite
