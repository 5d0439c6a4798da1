// What an exception vector saves: all general registers, and where the exception came from. Layout known to traps.S.
#pragma once

#include "base/types.h"
#include <array>

namespace eremite::arch {

struct TrapFrame {
    std::array<u64, 31> x; // 0
    u64 sp; // 248
    u64 pc; // 256
    u64 pstate; // 264
    u64 syndrome; // 272: ESR_EL1
    u64 fault_address; // 280: FAR_EL1

    /// PSTATE.I: interrupts masked.
    static constexpr u64 k_interrupt_mask = 1u << 7;

    u64 instruction_pointer() const { return pc; }
    void set_instruction_pointer(u64 value) { pc = value; }
    u64 stack_pointer() const { return sp; }
    void set_stack_pointer(u64 value) { sp = value; }
    u64 frame_pointer() const { return x[29]; }
    void set_argument(unsigned index, u64 value) { x[index] = value; }
    void set_result(u64 value) { x[0] = value; }
    u64 result() const { return x[0]; }
    bool interrupts_were_enabled() const { return (pstate & k_interrupt_mask) == 0; }
};
static_assert(sizeof(TrapFrame) == 288);

} // namespace eremite::arch
