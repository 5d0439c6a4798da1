// The local APIC of the calling processor (Intel SDM 3A, chapter 11). Private to arch/x86_64.
#pragma once

#include "base/component.h"
#include "base/types.h"

namespace eremite::arch {

/// Turns it on: x2APIC mode where there is one, else through its registers in memory.
void initialize_local_apic();
u32 local_apic_id();
void acknowledge_interrupt();

/// In the image where something is interrupted: timers, devices, other processors.
struct LocalApicPart {
    void (*initialize)();
    u32 (*id)();
    void (*acknowledge)();
};
ER_DECLARE_PART(LocalApicPart, local_apic);

enum class Delivery : u32 { Fixed = 0, Init = 5, Startup = 6 };
/// Sends `vector` to the processor with that APIC id.
void send_interrupt(u32 apic_id, u32 vector, Delivery delivery = Delivery::Fixed);

} // namespace eremite::arch
