// The signal mask, and its change for the time of one system call (ppoll, pselect, epoll_pwait, sigsuspend).
#pragma once

#include "base/result.h"
#include "sched/signal_state.h"
#include "syscall/user_pointer.h"

namespace eremite {

/// Changes the calling thread's mask; SIGKILL and SIGSTOP stay out of it. What it unblocks is delivered when the system
/// call ends.
void set_signal_mask(SignalSet mask);

/// Sets the thread's mask to that at `mask`, if it isn't null, until end(). A signal that this lets through is handled
/// with the mask in force; the old one comes back when the handler returns.
///     TemporarySignalMask temporary;
///     TRY(temporary.begin(mask, size));
///     auto result = wait...;
///     temporary.end(result.is_error() && result.error() == Errno::EINTR);
class TemporarySignalMask {
public:
    TemporarySignalMask() = default;
    ~TemporarySignalMask() { end(false); }
    TemporarySignalMask(const TemporarySignalMask&) = delete;
    TemporarySignalMask& operator=(const TemporarySignalMask&) = delete;

    /// EINVAL: `size` is not that of a mask; EFAULT.
    Result<> begin(UserPointer<u64> mask, usize size);
    void begin(SignalSet mask);
    /// `was_interrupted`: the call returns EINTR.
    void end(bool was_interrupted);

private:
    SignalSet m_old { 0 };
    bool m_is_active { false };
};

} // namespace eremite
