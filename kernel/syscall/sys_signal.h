// Signals within the process.
#pragma once

#include "abi/process.h"
#include "abi/signal.h"
#include "syscall/dispatch.h"

namespace eremite {

Result<long> sys_rt_sigaction(
    int number, UserPointer<abi::SignalAction> action, UserPointer<abi::SignalAction> old, usize set_size);
Result<long> sys_rt_sigprocmask(int how, UserPointer<u64> set, UserPointer<u64> old, usize set_size);
Result<long> sys_rt_sigpending(UserPointer<u64> set, usize set_size);
Result<long> sys_rt_sigsuspend(UserPointer<u64> mask, usize set_size);
Result<long> sys_pause();
Result<long> sys_rt_sigtimedwait(
    UserPointer<u64> set, UserPointer<abi::SignalInfo> information, UserPointer<abi::TimeSpec> timeout, usize set_size);
Result<long> sys_sigaltstack(UserPointer<abi::SignalStack> stack, UserPointer<abi::SignalStack> old);
/// Handlers return through __eremite_restore_rt; whoever calls this has no frame to return to.
Result<long> sys_rt_sigreturn();

Result<long> sys_kill(int pid, int number);
Result<long> sys_tkill(int tid, int number);
Result<long> sys_tgkill(int pid, int tid, int number);
Result<long> sys_rt_sigqueueinfo(int pid, int number, UserPointer<abi::SignalInfo> information);
Result<long> sys_rt_tgsigqueueinfo(int pid, int tid, int number, UserPointer<abi::SignalInfo> information);

Result<long> sys_signalfd(int fd, UserPointer<u64> mask, usize set_size);
Result<long> sys_signalfd4(int fd, UserPointer<u64> mask, usize set_size, int flags);

} // namespace eremite
