// What a thread remembers of signals. The machinery that acts on it (signal.h) is in the image only if something in it
// sends signals or sets handlers.
#pragma once

#include "base/types.h"
#include <atomic>

namespace eremite {

/// Signals 1 to 64, bit n - 1 each.
using SignalSet = u64;
constexpr SignalSet signal_bit(int number)
{
    return SignalSet { 1 } << (number - 1);
}

/// Sent to the process and not yet delivered to any thread.
extern std::atomic<SignalSet> g_process_signals;

struct QueuedSignal;

struct SignalState {
    SignalSet mask { 0 }; // blocked; changed by the thread alone
    std::atomic<SignalSet> pending { 0 }; // sent to this thread and not yet delivered
    QueuedSignal* queue { nullptr }; // their siginfo, oldest first; under the signal lock
    QueuedSignal* spare { nullptr }; // the last one delivered, for the next that the thread sends; its own alone
    u64 alternate_stack { 0 }; // sigaltstack(2)
    u64 alternate_stack_size { 0 };
    u32 alternate_stack_flags { 2 }; // SS_DISABLE
    SignalSet saved_mask { 0 }; // sigsuspend, ppoll: what to restore when a handler returns
    bool has_saved_mask { false };
    // The cancellation signal came: the next wait that could sleep fails with EINTR, so that the window between musl's
    // check and its system call is closed.
    std::atomic<bool> interrupt_next_wait { false };
    std::atomic<SignalSet> waiting_for { 0 }; // sigtimedwait: wakes although blocked
};

} // namespace eremite
