// The gates: __eremite_sys_NAME, which musl calls, one per line of the table, each in a section of its own. What a gate
// does besides calling sys_NAME is the isolation level's: nothing (`none`), a switch to the thread's kernel stack
// (`stack`), and of the protection keys (`mpk`). At its exit it looks at PerCpu::pending, for signals.
#pragma once

#include "arch/cpu.h"
#include "base/isolation.h"
#include "base/types.h"
#include <string_view>

namespace eremite {

/// What is known of a call at run time: made by its gate, and kept with it. In read-only memory, and free of pointers,
/// so that nothing is relocated at boot.
struct SyscallRecord {
    i32 body; // relative to the field: extern "C" long(long...), to be called on the kernel stack
    i32 gate; // likewise: __eremite_sys_NAME
    u16 number;
    u16 arity;
    // Followed by the name and the format of the table, both NUL-terminated.

    u64 gate_address() const { return reinterpret_cast<u64>(&gate) + static_cast<u64>(i64 { gate }); }
    std::string_view name() const { return text(0); }
    std::string_view format() const { return text(name().size() + 1); }

private:
    std::string_view text(usize offset) const
    {
        return reinterpret_cast<const char*>(reinterpret_cast<u64>(this) + 12 + offset);
    }
};
static_assert(sizeof(SyscallRecord) == 12);

} // namespace eremite

extern "C" {
#pragma GCC visibility push(hidden)
/// Called with the six argument registers of a traced call, before it (for those that don't return) and after it.
/// Defined by syscall/strace.cpp, which is in the image only if something asks for it: callers refer to them weakly.
void __eremite_trace_enter(const eremite::SyscallRecord* record, const long* arguments);
void __eremite_trace_exit(const eremite::SyscallRecord* record, const long* arguments, long result);
/// The way out of a call when something is pending: signals, and in `none` the trace. Returns the result.
long __eremite_finish_call(const eremite::SyscallRecord* record, long result);
/// At level `none` a call runs on the application's stack, whose pages come when they are touched; but under a lock
/// none can come. So what a call may need, as much as a kernel stack is, is touched before.
void __eremite_touch_stack();
/// Calls body(a, b) on the thread's kernel stack, which must be empty.
long __eremite_call_on_kernel_stack(void* body, long a, long b);
/// ENOSYS; logged the first time.
long __eremite_unimplemented(const eremite::SyscallRecord* record);
#pragma GCC visibility pop
}
