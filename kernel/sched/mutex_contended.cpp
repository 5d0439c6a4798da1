// A mutex that more than one thread wants.
#include "sched/thread.h"
#include "sched/wait_queue.h"

namespace eremite {

struct ContendedMutex {
    static void lock(Mutex& mutex);
    static void wake_next(Mutex& mutex);
};

void ContendedMutex::lock(Mutex& mutex)
{
    while (mutex.m_state.exchange(Mutex::k_contended, std::memory_order_acquire) != Mutex::k_free) {
        Waiter waiter(arch::current_thread());
        prepare_to_block(Interruptible::No);
        mutex.m_waiters.add(waiter, true);
        bool taken = mutex.m_state.exchange(Mutex::k_contended, std::memory_order_acquire) == Mutex::k_free;
        if (taken)
            cancel_block();
        else
            static_cast<void>(block());
        mutex.m_waiters.remove(waiter);
        if (taken)
            return;
    }
}

void ContendedMutex::wake_next(Mutex& mutex)
{
    mutex.m_waiters.wake(1);
}

ER_DEFINE_PART(ContendedMutexPart, contended_mutex, ContendedMutex::lock, ContendedMutex::wake_next)

} // namespace eremite
