// How a thread ends.
#include "sched/exit.h"

#include "sched/run_queue.h"
#include "sched/scheduler.h"

namespace eremite {

constinit std::atomic<void (*)(Thread&)> g_application_thread_exit { nullptr };

void exit_current_thread()
{
    Thread& self = current();
    if (self.is_application()) {
        if (auto* actions = g_application_thread_exit.load(std::memory_order_acquire))
            actions(self);
    }
    while (true)
        Scheduler::leave(Scheduler::Leave::Exit); // doesn't come back
}

} // namespace eremite
