// futex(2) and robust lists.
#pragma once

#include "abi/process.h"
#include "syscall/dispatch.h"

namespace eremite {

/// WAIT, WAKE, REQUEUE, CMP_REQUEUE, WAKE_OP, WAIT_BITSET, WAKE_BITSET. Those with priority inheritance: ENOSYS.
Result<long> sys_futex(u64 address, int operation, u32 value, u64 timeout_or_count, u64 second, u32 third);
Result<long> sys_set_robust_list(u64 head, usize length);
Result<long> sys_get_robust_list(int tid, UserPointer<u64> head, UserPointer<u64> length);

} // namespace eremite
