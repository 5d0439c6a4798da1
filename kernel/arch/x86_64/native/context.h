// x86_64's inline parts of arch/context.h. Every processor that the kernel starts on has FSGSBASE: early boot checks.
#pragma once

namespace eremite::arch {

inline constexpr u64 k_call_pushes = 8;

inline u64 thread_pointer()
{
    u64 value;
    asm volatile("rdfsbase %0" : "=r"(value));
    return value;
}

inline void set_thread_pointer(u64 value)
{
    asm volatile("wrfsbase %0" : : "r"(value) : "memory");
}

} // namespace eremite::arch
