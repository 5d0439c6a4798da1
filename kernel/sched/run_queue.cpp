#include "sched/run_queue.h"

namespace eremite {

void RunQueue::remove(Thread& thread)
{
    count.fetch_sub(1, std::memory_order_relaxed);
    thread.m_queue_cpu.store(Thread::k_no_queue, std::memory_order_relaxed);
    (thread.m_queued_realtime ? realtime : fair).remove(thread);
}

} // namespace eremite
