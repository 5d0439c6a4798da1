// The signal machinery: what is sent, waits in queues, and is delivered to handlers. Whoever calls something of this
// header brings it into the image; signal_hooks.h is for those who don't want to.
#pragma once

#include "abi/signal.h"
#include "base/result.h"
#include "sched/signal_state.h"
#include "sched/thread.h"
#include "sched/wait_queue.h"

namespace eremite {

/// A signal that has been sent, with its information. From the heap, or part of a timer that has one for life.
struct QueuedSignal {
    abi::SignalInfo information {};
    QueuedSignal* next { nullptr };
    bool is_timers { false }; // not to be freed
    std::atomic<bool> is_queued { false };
};

/// From now on signals are queued and delivered; before, they have their default actions. Cheap to call again.
void enable_signals();

/// To `thread`, or to the process if that is null. Standard signals that are pending already are sent once; what is
/// ignored is dropped. EAGAIN: no memory for the information of a real-time signal. Any context.
Result<> send_signal(const abi::SignalInfo& information, Thread* thread);
/// Likewise with a node that the caller owns (a timer). False if it is still queued from the last time: an overrun.
bool send_signal(QueuedSignal& signal, Thread* thread);
/// Takes it out of whatever queue it is in.
void withdraw_signal(QueuedSignal& signal, Thread* thread);

/// sigaction(2). EINVAL: no such signal, or one that can't be caught.
Result<abi::SignalAction> signal_action(int number);
Result<> set_signal_action(int number, const abi::SignalAction& action);

/// What is pending for the calling thread or the process.
SignalSet pending_signals();
/// Takes a pending signal of `set`; number 0 if there is none.
abi::SignalInfo take_signal(SignalSet set);
/// Told of each signal sent (signalfd).
WaitQueue& signal_arrivals();

} // namespace eremite
