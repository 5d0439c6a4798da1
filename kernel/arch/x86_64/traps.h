// Who handles which vector. Private to arch/x86_64.
#pragma once

#include "arch/interrupt.h"

namespace eremite::arch {

/// `function(context)` runs in interrupt context at each interrupt of `vector`; it acknowledges the controller itself.
void set_vector_handler(u32 vector, InterruptHandler function, void* context);

} // namespace eremite::arch
