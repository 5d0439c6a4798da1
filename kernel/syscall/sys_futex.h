// futex(2) and robust lists.
#pragma once

#include "abi/process.h"
#include "base/component.h"
#include "syscall/dispatch.h"

namespace eremite {

/// The whole of futex(2) (sys_futex_threads.cpp): in the image if something there sleeps, is signalled, or makes a
/// thread.
struct FutexesPart {
    Result<long> (*operation)(u64 address, int operation, u32 value, u64 timeout_or_count, u64 second, u32 third);
};
ER_DECLARE_PART(FutexesPart, futexes);

/// WAIT, WAKE, REQUEUE, CMP_REQUEUE, WAKE_OP, WAIT_BITSET, WAKE_BITSET. Those with priority inheritance: ENOSYS. With
/// one thread alone also those that move waiters, of which there are none, and waits by the wall clock.
Result<long> sys_futex(u64 address, int operation, u32 value, u64 timeout_or_count, u64 second, u32 third);
Result<long> sys_set_robust_list(u64 head, usize length);
Result<long> sys_get_robust_list(int tid, UserPointer<u64> head, UserPointer<u64> length);

} // namespace eremite
