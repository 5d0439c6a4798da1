// The ways out of the kernel on which something may be waiting: the processor is wanted, a signal has come.
#include "arch/signal.h"
#include "arch/trap.h"
#include "sched/run_queue.h"
#include "sched/signal_hooks.h"

namespace eremite {

void handle_pending_work(arch::TrapFrame& frame)
{
    Thread& self = current();
    if ((arch::this_cpu().pending.load(std::memory_order_relaxed) & arch::k_pending_reschedule) != 0) {
        // What was interrupted may be using vector registers.
        self.enter_exception();
        ER_PART(switching).give_way();
        self.leave_exception();
    }
    if ((arch::this_cpu().pending.load(std::memory_order_relaxed) & arch::k_pending_signal) == 0
        || !is_application(frame))
        return;
    const SignalHooks* hooks = g_signal_hooks.load(std::memory_order_acquire);
    arch::this_cpu().pending.fetch_and(~arch::k_pending_signal, std::memory_order_relaxed);
    if (!hooks || !Scheduler::is_interrupted(self))
        return;
    // Writing the frame may fault, and sleep.
    self.enter_exception();
    arch::enable_interrupts();
    hooks->deliver(frame, false);
    arch::disable_interrupts();
    self.leave_exception();
}

void handle_system_call_exit(arch::TrapFrame& frame, u64 gate)
{
    Thread& self = current();
    if ((arch::this_cpu().pending.load(std::memory_order_relaxed) & arch::k_pending_reschedule) != 0)
        ER_PART(switching).give_way();
    arch::disable_preemption();
    arch::this_cpu().pending.fetch_and(~arch::k_pending_signal, std::memory_order_relaxed);
    arch::enable_preemption();

    bool restart = self.restart().valid;
    self.restart().valid = false;
    const SignalHooks* hooks = g_signal_hooks.load(std::memory_order_acquire);
    // Where no handler is called, the program never learns that there was a signal: the call goes on.
    arch::TrapFrame returning = frame;
    if (restart)
        arch::set_system_call_restart(frame, gate, self.restart().arguments);
    if (!hooks || !Scheduler::is_interrupted(self))
        return;
    if (restart && !hooks->restarts_next()) {
        frame = returning;
        restart = false;
    }
    hooks->deliver(frame, !restart && frame.result() == static_cast<u64>(-static_cast<i64>(Errno::EINTR)));
}

} // namespace eremite
