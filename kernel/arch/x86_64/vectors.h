// Interrupt vectors: who has which. Private to arch/x86_64; traps.S has as many stubs.
#pragma once

#include "base/types.h"

namespace eremite::arch {

inline constexpr u32 k_vector_debug = 1;
inline constexpr u32 k_vector_nmi = 2;
inline constexpr u32 k_vector_double_fault = 8;
inline constexpr u32 k_vector_page_fault = 14;
inline constexpr u32 k_vector_machine_check = 18;

/// 32 to 47 are left to the legacy controllers, which may raise spurious ones before they are silenced.
inline constexpr u32 k_first_interrupt_vector = 32;
inline constexpr u32 k_first_device_vector = 48;
inline constexpr u32 k_vector_spurious = 0x7f;
inline constexpr u32 k_vector_timer = 0x7e;
inline constexpr u32 k_vector_reschedule = 0x7d;
inline constexpr u32 k_vector_call = 0x7c;
inline constexpr u32 k_end_device_vector = 0x7c;
inline constexpr u32 k_vector_count = 128;

} // namespace eremite::arch
