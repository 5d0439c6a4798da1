// Apart from the other calls on signals: C and C++ libraries block signals for a moment in programs that have no
// others.
#include "sched/signal_mask.h"
#include "sched/thread.h"
#include "syscall/sys_signal.h"

namespace eremite {

Result<long> sys_rt_sigprocmask(int how, UserPointer<u64> set, UserPointer<u64> old, usize set_size)
{
    if (set_size != sizeof(SignalSet))
        return Errno::EINVAL;
    SignalSet previous = current().signals().mask;
    if (!set.is_null()) {
        SignalSet wanted = TRY(set.read());
        switch (how) {
        case abi::k_sig_block:
            set_signal_mask(previous | wanted);
            break;
        case abi::k_sig_unblock:
            set_signal_mask(previous & ~wanted);
            break;
        case abi::k_sig_setmask:
            set_signal_mask(wanted);
            break;
        default:
            return Errno::EINVAL;
        }
    }
    if (!old.is_null())
        TRY(old.write(previous));
    return 0;
}

} // namespace eremite
