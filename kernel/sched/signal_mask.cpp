#include "sched/signal_mask.h"

#include "abi/signal.h"
#include "sched/run_queue.h"

namespace eremite {

void set_signal_mask(SignalSet mask)
{
    Thread& self = current();
    self.signals().mask = mask & ~(signal_bit(abi::k_sigkill) | signal_bit(abi::k_sigstop));
    if (!Scheduler::is_interrupted(self))
        return;
    arch::disable_preemption();
    arch::this_cpu().pending.fetch_or(arch::k_pending_signal, std::memory_order_relaxed);
    arch::enable_preemption();
}

Result<> TemporarySignalMask::begin(UserPointer<u64> mask, usize size)
{
    if (mask.is_null())
        return {};
    if (size != sizeof(SignalSet))
        return Errno::EINVAL;
    begin(TRY(mask.read()));
    return {};
}

void TemporarySignalMask::begin(SignalSet mask)
{
    m_old = current().signals().mask;
    m_is_active = true;
    set_signal_mask(mask);
}

void TemporarySignalMask::end(bool was_interrupted)
{
    if (!m_is_active)
        return;
    m_is_active = false;
    SignalState& signals = current().signals();
    if (was_interrupted && Scheduler::is_interrupted(current())) {
        signals.saved_mask = m_old;
        signals.has_saved_mask = true;
    } else {
        set_signal_mask(m_old);
    }
}

} // namespace eremite
