#include "sched/run_queue.h"

namespace eremite {

namespace {

bool is_realtime(const Thread& thread)
{
    return thread.policy() == SchedulingPolicy::Fifo || thread.policy() == SchedulingPolicy::RoundRobin;
}

} // namespace

void RunQueue::push(Thread& thread, bool at_front)
{
    count.fetch_add(1, std::memory_order_relaxed);
    thread.m_queue_cpu = cpu->id;
    thread.m_queued_realtime = is_realtime(thread);
    if (!thread.m_queued_realtime) {
        if (at_front)
            fair.push_front(thread);
        else
            fair.push_back(thread);
        return;
    }
    for (Thread& other : realtime) {
        if (other.priority() < thread.priority() || (at_front && other.priority() == thread.priority())) {
            realtime.insert_before(other, thread);
            return;
        }
    }
    realtime.push_back(thread);
}

void RunQueue::remove(Thread& thread)
{
    count.fetch_sub(1, std::memory_order_relaxed);
    (thread.m_queued_realtime ? realtime : fair).remove(thread);
}

Thread* RunQueue::pop_for(u32 cpu)
{
    for (Thread::RunList* list : { &realtime, &fair }) {
        for (Thread& thread : *list) {
            if ((thread.affinity() >> cpu & 1) != 0) {
                remove(thread);
                return &thread;
            }
        }
    }
    return nullptr;
}

} // namespace eremite
