// Inside the signal machinery: the table of actions, and delivery.
#pragma once

#include "abi/signal.h"
#include "arch/trap.h"
#include "sched/signal.h"
#include <array>

namespace eremite {

struct SignalTable {
    InterruptSpinLock lock;
    std::array<abi::SignalAction, abi::k_sigmax> actions GUARDED_BY(lock) {};
    QueuedSignal* process_queue GUARDED_BY(lock) { nullptr };

    abi::SignalAction& action(int number) REQUIRES(lock) { return actions[static_cast<usize>(number - 1)]; }
    /// Takes what comes first of those in `set` that are pending for `thread` or the process; number 0 if nothing is.
    abi::SignalInfo take(Thread& thread, SignalSet set) REQUIRES(lock);
};
extern SignalTable g_signal_table;

/// SignalHooks says what these do.
void deliver_signals(arch::TrapFrame& frame, bool had_interrupted);
bool next_signal_restarts();
bool deliver_fault_signal(arch::TrapFrame& frame, const arch::Fault& fault, const abi::SignalInfo& information);
void forget_signals(Thread& thread);

} // namespace eremite
