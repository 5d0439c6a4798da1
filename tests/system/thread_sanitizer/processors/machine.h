// A machine of several processors in a Linux process, for the kernel's scheduler: a thread of the kernel's is a thread
// of the process, and runs while it has been given a processor. What a processor does in turn is one thread after
// another to ThreadSanitizer, too, as switch_context() hands the processor on; between processors there is nothing but
// the kernel's own locks and atomics (and a mutex for each interrupt that one sends to another).
//
// Interrupts come where the kernel enables them, where a processor waits for one, and at interrupt_point().
#pragma once

#include "base/types.h"

namespace eremite::model {

inline constexpr u32 k_processors = 4;

/// Makes the caller the kernel's first thread, on processor 0, and starts the others. Once.
void start_machine();

/// Takes the interrupts that are due, and gives the processor away if they ask for it: a program is interrupted
/// anywhere, those of the tests here.
void interrupt_point();

} // namespace eremite::model
