// What an entry stub pushes: all general registers, then what the processor pushed. Layout known to traps.S.
#pragma once

#include "base/types.h"

namespace eremite::arch {

struct TrapFrame {
#if EREMITE_ISOLATION == 2
    u64 rights; // PKRU
    u64 domain; // PerCpu::domain, of what was interrupted
#endif
    u64 r15, r14, r13, r12, r11, r10, r9, r8;
    u64 rdi, rsi, rbp, rbx, rdx, rcx, rax;
    u64 vector;
    u64 error_code;
    u64 rip;
    u64 cs;
    u64 rflags;
    u64 rsp;
    u64 ss;

    static constexpr u64 k_interrupt_flag = 1u << 9;

    u64 instruction_pointer() const { return rip; }
    void set_instruction_pointer(u64 value) { rip = value; }
    u64 stack_pointer() const { return rsp; }
    void set_stack_pointer(u64 value) { rsp = value; }
    u64 frame_pointer() const { return rbp; }
    void set_argument(unsigned index, u64 value)
    {
        switch (index) {
        case 0:
            rdi = value;
            break;
        case 1:
            rsi = value;
            break;
        case 2:
            rdx = value;
            break;
        case 3:
            rcx = value;
            break;
        case 4:
            r8 = value;
            break;
        default:
            r9 = value;
            break;
        }
    }
    void set_result(u64 value) { rax = value; }
    u64 result() const { return rax; }
    bool interrupts_were_enabled() const { return (rflags & k_interrupt_flag) != 0; }
#if EREMITE_ISOLATION == 2
    bool is_application() const { return domain == 0; }
#endif
};
#if EREMITE_ISOLATION == 2
static_assert(sizeof(TrapFrame) == 24 * 8);
#else
static_assert(sizeof(TrapFrame) == 22 * 8);
#endif

} // namespace eremite::arch
