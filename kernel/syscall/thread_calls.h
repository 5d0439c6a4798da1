// What musl's overlay calls for clone(), and at the end of a detached thread (libc/musl/overlay/src/thread).
#pragma once

#include "syscall/dispatch.h"

namespace eremite {

/// The arguments of musl's __clone, which are more than a system call has.
struct CloneArguments {
    u64 function { 0 }; // int (*)(void*): what the thread runs; it ends as if by exit() when this returns
    u64 stack { 0 }; // its end
    u64 flags { 0 };
    u64 argument { 0 };
    u64 parent_tid { 0 };
    u64 tls { 0 };
    u64 child_tid { 0 };
};

/// A new thread of the application (CLONE_THREAD and what goes with it; ENOSYS for a new process). Its number.
/// Defined by sched/.
Result<long> sys_clone_thread(UserPointer<CloneArguments> arguments);

/// Unmaps [base, base + length), the caller's own stack, and ends the calling thread. Doesn't return. Defined by
/// sched/.
Result<long> sys_unmapself(u64 base, usize length);

/// ENOSYS for a number that isn't in the table, and says so. Defined by syscall/dispatch_number.cpp.
Result<long> sys_unknown_number(long number);

} // namespace eremite

extern "C" {
#pragma GCC visibility push(hidden)
/// Where a thread returns to that musl's __clone started: ends it with what its function returned.
void __eremite_thread_end();
#pragma GCC visibility pop
}
