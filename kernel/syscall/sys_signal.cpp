#include "syscall/sys_signal.h"

#include "base/component.h"
#include "file/terminal.h"
#include "sched/clock.h"
#include "sched/process.h"
#include "sched/signal.h"
#include "sched/signal_hooks.h"
#include "sched/signal_mask.h"
#include "syscall/sys_process.h"
#include "syscall/time_argument.h"

namespace eremite {

namespace {

Result<> check_set_size(usize size)
{
    if (size != sizeof(SignalSet))
        return Errno::EINVAL;
    return {};
}

bool is_signal(int number)
{
    return number >= 1 && number <= abi::k_sigmax;
}

bool is_process(int pid)
{
    // 0: our group, of which we are the only member; -1: all that may be signalled.
    return pid == k_process_id || pid == 0 || pid == -1 || pid == -k_process_id;
}

abi::SignalInfo from_self(int number, int code)
{
    abi::SignalInfo information;
    information.number = number;
    information.code = code;
    information.fields.sender.pid = k_process_id;
    information.fields.sender.uid = static_cast<i32>(sys_getuid());
    return information;
}

Result<long> send_to_thread(int tid, const abi::SignalInfo& information)
{
    if (tid <= 0)
        return Errno::EINVAL;
    auto thread = ThreadTable::find(tid);
    if (!thread || !thread->is_application())
        return Errno::ESRCH;
    if (information.number == 0)
        return 0;
    if (!is_signal(information.number))
        return Errno::EINVAL;
    TRY(send_signal(information, thread.get()));
    return 0;
}

Result<abi::SignalInfo> read_information(int number, UserPointer<abi::SignalInfo> pointer)
{
    abi::SignalInfo information = TRY(pointer.read());
    information.number = number;
    return information;
}

} // namespace

Result<long> sys_rt_sigaction(
    int number, UserPointer<abi::SignalAction> action, UserPointer<abi::SignalAction> old, usize set_size)
{
    ER_NEEDS(power_button); // sends SIGTERM
    ER_NEEDS(terminal); // sends SIGINT
    TRY(check_set_size(set_size));
    abi::SignalAction previous = TRY(signal_action(number));
    if (!action.is_null()) {
        abi::SignalAction wanted = TRY(action.read());
        TRY(set_signal_action(number, wanted));
        if ((number == abi::k_sigint || number == abi::k_sigquit) && wanted.handler > abi::k_sig_ignore)
            watch_console_input();
    }
    if (!old.is_null())
        TRY(old.write(previous));
    return 0;
}

Result<long> sys_rt_sigpending(UserPointer<u64> set, usize set_size)
{
    if (set_size > sizeof(SignalSet))
        return Errno::EINVAL;
    SignalSet pending = pending_signals() & current().signals().mask;
    TRY(copy_to_user(set.address(), &pending, set_size));
    return 0;
}

namespace {

/// Sleeps until a signal that `mask` lets through. It is handled with that mask in force.
Result<long> suspend(SignalSet mask)
{
    enable_signals();
    TemporarySignalMask temporary;
    temporary.begin(mask);
    while (true) {
        prepare_to_block(Interruptible::Yes);
        Result<> result = block();
        if (result.is_error() && result.error() == Errno::EINTR)
            break;
    }
    temporary.end(true);
    return Errno::EINTR;
}

} // namespace

Result<long> sys_rt_sigsuspend(UserPointer<u64> mask, usize set_size)
{
    TRY(check_set_size(set_size));
    return suspend(TRY(mask.read()));
}

Result<long> sys_pause()
{
    return suspend(current().signals().mask);
}

Result<long> sys_rt_sigtimedwait(
    UserPointer<u64> set, UserPointer<abi::SignalInfo> information, UserPointer<abi::TimeSpec> timeout, usize set_size)
{
    TRY(check_set_size(set_size));
    SignalSet wanted = TRY(set.read()) & ~(signal_bit(abi::k_sigkill) | signal_bit(abi::k_sigstop));
    Nanoseconds deadline = Nanoseconds::max();
    if (!timeout.is_null())
        deadline = monotonic_now() + TRY(to_nanoseconds(TRY(timeout.read())));
    enable_signals();
    SignalState& signals = current().signals();
    abi::SignalInfo taken;
    while (true) {
        // First said, then looked: a signal that comes in between ends the wait.
        signals.waiting_for.store(wanted, std::memory_order_seq_cst);
        prepare_to_block(Interruptible::Yes);
        taken = take_signal(wanted);
        if (taken.number != 0) {
            cancel_block();
            break;
        }
        Result<> result = block(deadline);
        signals.waiting_for.store(0, std::memory_order_relaxed);
        taken = take_signal(wanted);
        if (taken.number != 0)
            break;
        if (result.is_error())
            return result.error() == Errno::ETIMEDOUT ? Errno::EAGAIN : Errno::EINTR;
    }
    signals.waiting_for.store(0, std::memory_order_relaxed);
    if (!information.is_null())
        TRY(information.write(taken));
    return taken.number;
}

Result<long> sys_sigaltstack(UserPointer<abi::SignalStack> stack, UserPointer<abi::SignalStack> old)
{
    SignalState& signals = current().signals();
    // The caller's own frame is on the stack that is in use: its argument is as good as its stack pointer, if it lies
    // there. Linux looks at the stack pointer; programs that change the stack that they run on get EPERM from both.
    bool is_disabled = (signals.alternate_stack_flags & abi::k_ss_disable) != 0;
    abi::SignalStack previous { signals.alternate_stack, static_cast<i32>(signals.alternate_stack_flags),
        signals.alternate_stack_size };
    u64 place = stack.is_null() ? old.address() : stack.address();
    bool is_in_use = !is_disabled && place - signals.alternate_stack < signals.alternate_stack_size;
    if (is_in_use)
        previous.flags = abi::k_ss_onstack;
    if (!stack.is_null()) {
        abi::SignalStack wanted = TRY(stack.read());
        if (is_in_use)
            return Errno::EPERM;
        if ((wanted.flags & ~(abi::k_ss_onstack | abi::k_ss_disable)) != 0)
            return Errno::EINVAL;
        if ((wanted.flags & abi::k_ss_disable) != 0)
            wanted = { 0, abi::k_ss_disable, 0 };
        else if (wanted.size < abi::k_minsigstksz)
            return Errno::ENOMEM;
        signals.alternate_stack = wanted.pointer;
        signals.alternate_stack_size = wanted.size;
        signals.alternate_stack_flags = static_cast<u32>(wanted.flags & abi::k_ss_disable);
    }
    if (!old.is_null())
        TRY(old.write(previous));
    return 0;
}

Result<long> sys_rt_sigreturn()
{
    end_by_signal(abi::k_sigsegv);
}

Result<long> sys_kill(int pid, int number)
{
    if (number < 0 || number > abi::k_sigmax)
        return Errno::EINVAL;
    if (!is_process(pid))
        return Errno::ESRCH;
    if (number != 0)
        TRY(send_signal(from_self(number, abi::k_si_user), nullptr));
    return 0;
}

Result<long> sys_tkill(int tid, int number)
{
    if (number < 0 || number > abi::k_sigmax)
        return Errno::EINVAL;
    return send_to_thread(tid, from_self(number, abi::k_si_tkill));
}

Result<long> sys_tgkill(int pid, int tid, int number)
{
    if (pid <= 0 || tid <= 0)
        return Errno::EINVAL;
    if (pid != k_process_id)
        return Errno::ESRCH;
    return sys_tkill(tid, number);
}

Result<long> sys_rt_sigqueueinfo(int pid, int number, UserPointer<abi::SignalInfo> pointer)
{
    abi::SignalInfo information = TRY(read_information(number, pointer));
    if (number < 0 || number > abi::k_sigmax)
        return Errno::EINVAL;
    if (!is_process(pid))
        return Errno::ESRCH;
    if (number != 0)
        TRY(send_signal(information, nullptr));
    return 0;
}

Result<long> sys_rt_tgsigqueueinfo(int pid, int tid, int number, UserPointer<abi::SignalInfo> pointer)
{
    abi::SignalInfo information = TRY(read_information(number, pointer));
    if (pid != k_process_id)
        return pid <= 0 ? Errno::EINVAL : Errno::ESRCH;
    return send_to_thread(tid, information);
}

} // namespace eremite
