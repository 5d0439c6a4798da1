// aarch64's inline parts of arch/context.h.
#pragma once

namespace eremite::arch {

/// A call leaves its return address in X30.
inline constexpr u64 k_call_pushes = 0;

inline u64 thread_pointer()
{
    u64 value;
    asm volatile("mrs %0, tpidr_el0" : "=r"(value));
    return value;
}

inline void set_thread_pointer(u64 value)
{
    asm volatile("msr tpidr_el0, %0" : : "r"(value) : "memory");
}

} // namespace eremite::arch
