// How the rest of the kernel reaches the signal machinery, if it is in the image: it is where something sends signals or
// sets handlers. Without it, what a signal does is its default action.
#pragma once

#include "arch/trap.h"
#include "sched/thread.h"

namespace eremite {

struct SignalInformation;

struct SignalHooks {
    /// Delivers what is pending: changes `frame` for the handler, perhaps for several. `had_interrupted`: a system call is
    /// about to return EINTR for it.
    void (*deliver)(arch::TrapFrame& frame, bool had_interrupted);
    /// Whether the signal that deliver() would deliver first lets a system call be made again (SA_RESTART, or no handler).
    bool (*restarts_next)();
    /// A fault of the running thread. False: no handler, or none that can be called.
    bool (*deliver_fault)(arch::TrapFrame& frame, const arch::Fault& fault, const SignalInformation& information);
    /// Sends it to the running thread or, if `thread` is null, to the process. Any context.
    void (*send)(Thread* thread, const SignalInformation& information);
};

extern std::atomic<const SignalHooks*> g_signal_hooks;

/// Whether `address` is code of the application, not of the kernel that is linked to it. Defined by the architecture.
bool is_application_code(u64 address);

/// Sends `number` on behalf of the kernel (SIGPIPE, SIGALRM, SIGINT, ...) to `thread`, or to the process if that is null.
/// Without the machinery a signal that isn't blocked or ignored by default ends the process. Any context.
void send_kernel_signal(int number, Thread* thread = nullptr);

} // namespace eremite
