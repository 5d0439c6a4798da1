#include "sched/signal_delivery.h"

#include "arch/signal.h"
#include "sched/run_queue.h"
#include "sched/signal_hooks.h"
#include "sched/signal_mask.h"
#include <bit>

namespace eremite {

namespace {

bool is_on(const SignalState& signals, u64 stack_pointer)
{
    return (signals.alternate_stack_flags & abi::k_ss_disable) == 0 && stack_pointer > signals.alternate_stack
        && stack_pointer - signals.alternate_stack <= signals.alternate_stack_size;
}

/// Has `frame` continue at the handler, and sets the mask that is in force there. False: its stack can't be written.
bool call_handler(arch::TrapFrame& frame, const abi::SignalAction& action, const abi::SignalInfo& information,
    const arch::Fault* fault)
{
    SignalState& signals = current().signals();
    bool on_alternate = is_on(signals, frame.stack_pointer());
    bool may_use_alternate = (action.flags & abi::k_sa_onstack) != 0
        && (signals.alternate_stack_flags & abi::k_ss_disable) == 0 && !on_alternate;
    arch::SignalFrame signal {
        .handler = action.handler,
        .restorer = (action.flags & abi::k_sa_restorer) != 0 ? action.restorer : 0,
        .number = information.number,
        .mask = signals.has_saved_mask ? signals.saved_mask : signals.mask,
        .information = { reinterpret_cast<const u8*>(&information), sizeof(information) },
        .alternate_stack = signals.alternate_stack,
        .alternate_stack_size = signals.alternate_stack_size,
        .alternate_stack_flags = on_alternate ? abi::k_ss_onstack : static_cast<int>(signals.alternate_stack_flags),
        .stack_top = may_use_alternate ? signals.alternate_stack + signals.alternate_stack_size : 0,
        .fault = fault,
    };
    if (!arch::push_signal_frame(frame, signal))
        return false;
    signals.has_saved_mask = false;
    SignalSet mask = signals.mask | action.mask;
    if ((action.flags & abi::k_sa_nodefer) == 0)
        mask |= signal_bit(information.number);
    set_signal_mask(mask);
    return true;
}

/// The action of a signal that is about to be delivered; SA_RESETHAND takes effect.
abi::SignalAction take_action(int number) REQUIRES(g_signal_table.lock)
{
    abi::SignalAction& action = g_signal_table.action(number);
    abi::SignalAction taken = action;
    if ((action.flags & abi::k_sa_resethand) != 0 && action.handler > abi::k_sig_ignore)
        action.handler = abi::k_sig_default;
    return taken;
}

} // namespace

void deliver_signals(arch::TrapFrame& frame, bool had_interrupted)
{
    Thread& self = current();
    SignalState& signals = self.signals();
    while (true) {
        abi::SignalInfo information;
        abi::SignalAction action;
        {
            Locked lock(g_signal_table.lock);
            information = g_signal_table.take(self, ~signals.mask);
            if (information.number == 0)
                break;
            action = take_action(information.number);
        }
        if (action.handler == abi::k_sig_ignore)
            continue;
        if (action.handler == abi::k_sig_default) {
            if (default_action(information.number) == DefaultAction::Ignore)
                continue;
            end_by_signal(information.number);
        }
        if (!call_handler(frame, action, information, nullptr))
            end_by_signal(abi::k_sigsegv);
        if (information.number == abi::k_sigcancel && !had_interrupted)
            signals.interrupt_next_wait.store(true, std::memory_order_relaxed);
    }
    if (signals.has_saved_mask) {
        // A call that waited with another mask was interrupted, but no handler came of it.
        signals.has_saved_mask = false;
        set_signal_mask(signals.saved_mask);
    }
}

bool next_signal_restarts()
{
    Thread& self = current();
    Locked lock(g_signal_table.lock);
    SignalSet set
        = (self.signals().pending.load(std::memory_order_relaxed) | g_process_signals.load(std::memory_order_relaxed))
        & ~self.signals().mask;
    for (; set != 0; set &= set - 1) {
        int number = std::countr_zero(set) + 1;
        const abi::SignalAction& action = g_signal_table.action(number);
        if (action.handler > abi::k_sig_ignore)
            return (action.flags & abi::k_sa_restart) != 0 && number != abi::k_sigcancel;
    }
    return true;
}

bool deliver_fault_signal(arch::TrapFrame& frame, const arch::Fault& fault, const abi::SignalInfo& information)
{
    abi::SignalAction action;
    {
        Locked lock(g_signal_table.lock);
        bool is_blocked = (current().signals().mask & signal_bit(information.number)) != 0;
        // To ignore a fault would be to meet it again at once.
        if (is_blocked || g_signal_table.action(information.number).handler <= abi::k_sig_ignore)
            return false;
        action = take_action(information.number);
    }
    return call_handler(frame, action, information, &fault);
}

void handle_signal_return(arch::TrapFrame& frame)
{
    // From pop_signal_frame() on the vector registers are those of what was interrupted.
    current().enter_exception();
    u64 mask = 0;
    if (!arch::pop_signal_frame(frame, mask))
        end_by_signal(abi::k_sigsegv);
    arch::disable_preemption();
    arch::this_cpu().pending.fetch_and(~arch::k_pending_signal, std::memory_order_relaxed);
    arch::enable_preemption();
    set_signal_mask(mask);
    if (Scheduler::is_interrupted(current()))
        deliver_signals(frame, false);
    current().leave_exception();
}

} // namespace eremite
