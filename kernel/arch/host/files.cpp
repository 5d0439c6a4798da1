// What the file systems ask of the rest of the kernel, on arch `host`.
#include <time.h>

#include "sched/clock.h"

namespace eremite {

class Thread;

Nanoseconds realtime_now()
{
    timespec time {};
    clock_gettime(CLOCK_REALTIME, &time);
    return Nanoseconds::from_seconds(time.tv_sec) + Nanoseconds(time.tv_nsec);
}

/// Signals of the kernel's own (SIGPIPE) go nowhere.
void send_kernel_signal(int, Thread*) { }

} // namespace eremite
