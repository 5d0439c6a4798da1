#include "sched/wait_queue.h"

#include "sched/thread.h"

namespace eremite {

Waiter::~Waiter()
{
    if (m_queue)
        m_queue->remove(*this);
}

void WaitQueue::add(Waiter& waiter, bool exclusive)
{
    Locked lock(m_lock);
    waiter.m_queue = this;
    waiter.m_exclusive = exclusive;
    // Exclusive ones last: those before them are woken each time.
    if (exclusive)
        m_waiters.push_back(waiter);
    else
        m_waiters.push_front(waiter);
    m_is_empty.store(false, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_seq_cst); // with wake()'s
}

void WaitQueue::remove(Waiter& waiter)
{
    Locked lock(m_lock);
    if (waiter.m_hook.is_linked())
        m_waiters.remove(waiter);
    waiter.m_queue = nullptr;
    m_is_empty.store(m_waiters.is_empty(), std::memory_order_relaxed);
}

usize WaitQueue::wake_slow(usize count, u32 events)
{
    usize woken = 0;
    Locked lock(m_lock);
    for (Waiter* waiter = m_waiters.first(); waiter;) {
        Waiter* next = Waiter::Queue::next(*waiter);
        if (waiter->m_exclusive && woken == count)
            break;
        if (waiter->m_exclusive)
            ++woken;
        if (waiter->m_callback) {
            waiter->m_callback(*waiter, events); // stays on the queue
        } else {
            m_waiters.remove(*waiter);
            wake_thread(*waiter->m_thread); // waits for our lock before the waiter dies
        }
        waiter = next;
    }
    m_is_empty.store(m_waiters.is_empty(), std::memory_order_relaxed);
    return woken;
}

} // namespace eremite
