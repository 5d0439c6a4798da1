// How the rest of the kernel reaches the signal machinery, if it is in the image: it is where something sends signals
// or sets handlers. Without it, what a signal does is its default action.
#pragma once

#include "abi/signal.h"
#include "arch/trap.h"
#include "sched/thread.h"

namespace eremite {

struct SignalHooks {
    /// Delivers what is pending: changes `frame` for the handler, perhaps for several. `had_interrupted`: a system call
    /// is about to return EINTR for it.
    void (*deliver)(arch::TrapFrame& frame, bool had_interrupted);
    /// Whether the signal that deliver() would deliver first lets a system call be made again (SA_RESTART, or no
    /// handler).
    bool (*restarts_next)();
    /// A fault of the running thread. False: no handler, or none that can be called.
    bool (*deliver_fault)(arch::TrapFrame& frame, const arch::Fault& fault, const abi::SignalInfo& information);
    /// Sends it to the thread or, if that is null, to the process. Any context.
    void (*send)(Thread* thread, const abi::SignalInfo& information);
    /// Forgets what was sent to a thread that ends.
    void (*forget)(Thread& thread);
};

extern std::atomic<const SignalHooks*> g_signal_hooks;

/// Whether `address` is no code of the kernel's, which is linked to the application. Jumps to nowhere are the
/// application's, too.
bool is_application_code(u64 address);
/// Whether `frame` is of the application's doing. With protection keys, whose rights it ran with says so: there it may
/// be code of the kernel's, which the application has jumped to.
inline bool is_application(const arch::TrapFrame& frame)
{
#if EREMITE_ISOLATION == 2
    return frame.is_application();
#else
    return is_application_code(frame.instruction_pointer());
#endif
}

/// Sends `number` on behalf of the kernel (SIGPIPE, SIGALRM, SIGINT, ...) to `thread`, or to the process if that is
/// null. Without the machinery a signal that isn't blocked or ignored by default ends the process. Any context.
void send_kernel_signal(int number, Thread* thread = nullptr);
void send_kernel_signal(const abi::SignalInfo& information, Thread* thread);

enum class DefaultAction : u8 { Ignore, End, EndWithReport };
DefaultAction default_action(int number);
/// "SIGSEGV".
const char* signal_name(int number);
/// The default action of a signal that ends the process, carried out.
[[noreturn]] void end_by_signal(int number);

} // namespace eremite
