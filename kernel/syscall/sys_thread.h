// Threads: creation, numbers, scheduling.
#pragma once

#include "abi/process.h"
#include "syscall/dispatch.h"

namespace eremite {

/// A function can't return twice: threads are made by __eremite_clone (thread_calls.h). What is left is fork.
Result<long> sys_clone(
    u64 flags, u64 stack, UserPointer<i32> parent_tid, UserPointer<i32> child_tid, u64 thread_pointer);
Result<long> sys_clone3(UserPointer<u8> arguments, usize length);
long sys_set_tid_address(u64 address);
long sys_gettid();

long sys_sched_yield();
Result<long> sys_sched_setaffinity(int tid, u32 length, UserPointer<u8> mask);
Result<long> sys_sched_getaffinity(int tid, u32 length, UserPointer<u8> mask);
Result<long> sys_sched_setscheduler(int tid, int policy, UserPointer<i32> priority);
Result<long> sys_sched_getscheduler(int tid);
Result<long> sys_sched_setparam(int tid, UserPointer<i32> priority);
Result<long> sys_sched_getparam(int tid, UserPointer<i32> priority);
Result<long> sys_sched_get_priority_max(int policy);
Result<long> sys_sched_get_priority_min(int policy);
Result<long> sys_sched_rr_get_interval(int tid, UserPointer<abi::TimeSpec> interval);
Result<long> sys_getpriority(int which, int who);
Result<long> sys_setpriority(int which, int who, int nice);
Result<long> sys_getcpu(UserPointer<u32> cpu, UserPointer<u32> node, u64 unused);
Result<long> sys_membarrier(int command, u32 flags);

} // namespace eremite
