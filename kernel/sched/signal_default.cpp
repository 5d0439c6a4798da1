// Signals where nobody has asked for them: the default actions.
#include "base/log.h"
#include "sched/process.h"
#include "sched/signal_hooks.h"

namespace eremite {

constinit std::atomic<const SignalHooks*> g_signal_hooks { nullptr };

DefaultAction default_action(int number)
{
    switch (number) {
    case abi::k_sigchld:
    case abi::k_sigcont:
    case abi::k_sigurg:
    case abi::k_sigwinch:
    // To stop the only process there is would leave nobody to continue it.
    case abi::k_sigstop:
    case abi::k_sigtstp:
    case abi::k_sigttin:
    case abi::k_sigttou:
        return DefaultAction::Ignore;
    case abi::k_sigquit:
    case abi::k_sigill:
    case abi::k_sigtrap:
    case abi::k_sigabrt:
    case abi::k_sigbus:
    case abi::k_sigfpe:
    case abi::k_sigsegv:
    case abi::k_sigsys:
    case abi::k_sigxcpu:
    case abi::k_sigxfsz:
        return DefaultAction::EndWithReport;
    default:
        return DefaultAction::End;
    }
}

const char* signal_name(int number)
{
    constexpr std::array names { "SIG?", "SIGHUP", "SIGINT", "SIGQUIT", "SIGILL", "SIGTRAP", "SIGABRT", "SIGBUS",
        "SIGFPE", "SIGKILL", "SIGUSR1", "SIGSEGV", "SIGUSR2", "SIGPIPE", "SIGALRM", "SIGTERM", "SIGSTKFLT", "SIGCHLD",
        "SIGCONT", "SIGSTOP", "SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGURG", "SIGXCPU", "SIGXFSZ", "SIGVTALRM", "SIGPROF",
        "SIGWINCH", "SIGIO", "SIGPWR", "SIGSYS" };
    auto index = static_cast<usize>(number);
    return index < names.size() ? names[index] : "a real-time signal";
}

void end_by_signal(int number)
{
    if (default_action(number) == DefaultAction::EndWithReport)
        log_error("thread {} ({}) ended the program: {}", current().name(), current().tid(), signal_name(number));
    exit_process(128 + number);
}

void send_kernel_signal(const abi::SignalInfo& information, Thread* thread)
{
    if (const SignalHooks* hooks = g_signal_hooks.load(std::memory_order_acquire)) {
        hooks->send(thread, information);
        return;
    }
    SignalSet bit = signal_bit(information.number);
    bool is_blocked = ((thread ? *thread : current()).signals().mask & bit) != 0;
    if (is_blocked || default_action(information.number) == DefaultAction::Ignore)
        return;
    // In an interrupt nothing may sleep, as the exit hooks do.
    if (arch::in_interrupt())
        kill_process(information.number);
    end_by_signal(information.number);
}

void send_kernel_signal(int number, Thread* thread)
{
    abi::SignalInfo information;
    information.number = number;
    information.code = abi::k_si_kernel;
    send_kernel_signal(information, thread);
}

} // namespace eremite
