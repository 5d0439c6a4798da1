// What a crash prints: shared by the panic and by the report of a fault that nobody handles.
#pragma once

#include "arch/trap.h"

namespace eremite {

/// Registers, image base and backtrace of `frame` in the format of docs/boot.md, straight to the console. Survives a
/// broken stack. Takes no lock that could be held.
void print_crash_report(const arch::TrapFrame& frame);

/// The image's base and the chain of frames alone.
void print_backtrace(u64 instruction, u64 frame_pointer);

} // namespace eremite
