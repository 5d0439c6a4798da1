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

// --- Mutex

void Mutex::lock_slow()
{
    while (m_state.exchange(k_contended, std::memory_order_acquire) != k_free) {
        Waiter waiter(arch::current_thread());
        prepare_to_block(Interruptible::No);
        m_waiters.add(waiter, true);
        bool taken = m_state.exchange(k_contended, std::memory_order_acquire) == k_free;
        if (taken)
            cancel_block();
        else
            static_cast<void>(block());
        m_waiters.remove(waiter);
        if (taken)
            return;
    }
}

void Mutex::lock()
{
    u32 expected = k_free;
    if (!m_state.compare_exchange_strong(expected, k_held, std::memory_order_acquire))
        lock_slow();
    m_owner.store(arch::current_thread(), std::memory_order_relaxed);
}

bool Mutex::try_lock()
{
    u32 expected = k_free;
    if (!m_state.compare_exchange_strong(expected, k_held, std::memory_order_acquire))
        return false;
    m_owner.store(arch::current_thread(), std::memory_order_relaxed);
    return true;
}

void Mutex::unlock()
{
    m_owner.store(nullptr, std::memory_order_relaxed);
    if (m_state.exchange(k_free, std::memory_order_release) == k_contended)
        m_waiters.wake(1);
}

bool Mutex::is_held_by_current_thread() const
{
    return m_owner.load(std::memory_order_relaxed) == arch::current_thread();
}

} // namespace eremite
