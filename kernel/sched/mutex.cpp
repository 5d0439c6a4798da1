#include "sched/wait_queue.h"

#include "sched/thread.h"

namespace eremite {

void Mutex::lock()
{
    u32 expected = k_free;
    if (!m_state.compare_exchange_strong(expected, k_held, std::memory_order_acquire))
        ER_PART(contended_mutex).lock(*this);
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
        ER_PART(contended_mutex).wake_next(*this);
}

bool Mutex::is_held_by_current_thread() const
{
    return m_owner.load(std::memory_order_relaxed) == arch::current_thread();
}

} // namespace eremite
