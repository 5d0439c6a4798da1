// Sleeping until somebody wakes: WaitQueue, and Mutex on top of it.
//
//     Locked lock(m_lock);                                   // a SpinLock or InterruptSpinLock
//     TRY(m_readers.wait_until(m_lock, [&] { return !m_data.empty(); }, deadline));
//
// The lock is released while sleeping and held again afterwards, so no wake-up between check and sleep is lost.
#pragma once

#include "base/chain.h"
#include "base/component.h"
#include "base/result.h"
#include "sync/spin_lock.h"

namespace eremite {

class Thread;

/// Whether a signal for the thread ends the wait.
enum class Interruptible : bool { No, Yes };

/// A thread on a WaitQueue (it may be on several at once: poll). Lives on the sleeper's stack or in an epoll item.
class Waiter {
public:
    /// Wakes `thread`.
    explicit Waiter(Thread* thread)
        : m_thread(thread)
    {
    }
    /// Has `callback` called instead, under the queue's lock, in whatever context wakes: must not sleep.
    Waiter(void (*callback)(Waiter&, u32 events), void* context)
        : m_callback(callback)
        , m_context(context)
    {
    }
    ~Waiter();
    Waiter(const Waiter&) = delete;
    Waiter& operator=(const Waiter&) = delete;

    void* context() const { return m_context; }
    bool is_queued() const { return m_hook.is_linked(); }

private:
    friend class WaitQueue;
    ChainHook<Waiter> m_hook;
    class WaitQueue* m_queue { nullptr };
    Thread* m_thread { nullptr };
    void (*m_callback)(Waiter&, u32) { nullptr };
    void* m_context { nullptr };
    bool m_exclusive { false };

public:
    using Queue = Chain<Waiter, &Waiter::m_hook>;
};

/// Threads (and callbacks) that wait for something. wake_*() may be called in any context, also with other spinlocks
/// held, except that of this queue.
class WaitQueue {
public:
    constexpr WaitQueue() = default;
    WaitQueue(const WaitQueue&) = delete;
    WaitQueue& operator=(const WaitQueue&) = delete;

    /// Puts `waiter` on the queue, after prepare_to_block(): a wake-up takes it off, and must not find the thread
    /// unprepared. The thread then checks its condition and calls block(). Exclusive waiters
    /// are woken one at a time, in order of arrival.
    void add(Waiter& waiter, bool exclusive = false);
    /// Takes it off, if it is still on.
    void remove(Waiter& waiter);

    /// Sleeps until `condition()` is true (checked under `lock`, which is held on entry and exit). Deadline is
    /// monotonic. ETIMEDOUT; EINTR for a signal, if interruptible.
    template<typename Lock, typename Condition>
    Result<> wait_until(Lock& lock, Condition condition, Nanoseconds deadline = Nanoseconds::max(),
        Interruptible interruptible = Interruptible::Yes, bool exclusive = false);

    /// Wakes all that are not exclusive and up to `count` that are. `events` is passed to callbacks (POLLIN, ...).
    /// Returns how many exclusive waiters were woken.
    usize wake(usize count = 1, u32 events = 0)
    {
        // Whoever is on its way onto the queue checks its condition after that: against its fence, ours.
        std::atomic_thread_fence(std::memory_order_seq_cst);
        return m_is_empty.load(std::memory_order_relaxed) ? 0 : wake_slow(count, events);
    }
    usize wake_all(u32 events = 0) { return wake(SIZE_MAX, events); }
    bool is_empty() const { return m_is_empty.load(std::memory_order_relaxed); }

private:
    usize wake_slow(usize count, u32 events);

    InterruptSpinLock m_lock;
    std::atomic<bool> m_is_empty { true };
    Waiter::Queue m_waiters GUARDED_BY(m_lock);
};

/// A lock that sleeps. Not recursive; not for interrupt handlers; not interruptible by signals.
class CAPABILITY("Mutex") Mutex {
public:
    constexpr Mutex() = default;
    Mutex(const Mutex&) = delete;
    Mutex& operator=(const Mutex&) = delete;

    void lock() ACQUIRE();
    bool try_lock() TRY_ACQUIRE(true);
    void unlock() RELEASE();
    bool is_held_by_current_thread() const;

private:
    friend struct ContendedMutex;
    static constexpr u32 k_free = 0;
    static constexpr u32 k_held = 1;
    static constexpr u32 k_contended = 2; // held, and somebody may sleep
    std::atomic<u32> m_state { k_free };
    std::atomic<Thread*> m_owner { nullptr };
    WaitQueue m_waiters;
};

/// What a mutex needs once there is a second thread to want it.
struct ContendedMutexPart {
    void (*lock)(Mutex& mutex);
    void (*wake_next)(Mutex& mutex);
};
ER_DECLARE_PART(ContendedMutexPart, contended_mutex);

/// The primitive below wait_until(): marks the current thread as about to sleep, before it goes on its queues, so that
/// no wake-up from now on is lost ...
void prepare_to_block(Interruptible interruptible);
/// ... and sleeps until woken, `deadline` (ETIMEDOUT), or a signal (EINTR). Success does not mean that the condition
/// holds.
Result<> block(Nanoseconds deadline = Nanoseconds::max());
/// Undoes prepare_to_block() if the condition turned out to hold.
void cancel_block();
/// Makes `thread` runnable if it is blocked or about to. Any context.
void wake_thread(Thread& thread);

/// Sleeps at least until `deadline`. EINTR.
Result<> sleep_until(Nanoseconds deadline, Interruptible interruptible = Interruptible::Yes);

template<typename Lock, typename Condition>
Result<> WaitQueue::wait_until(Lock& lock, Condition condition, Nanoseconds deadline, Interruptible interruptible,
    bool exclusive) NO_THREAD_SAFETY_ANALYSIS
{
    while (!condition()) {
        Waiter waiter(arch::current_thread());
        prepare_to_block(interruptible);
        add(waiter, exclusive);
        if (condition()) {
            cancel_block();
            remove(waiter);
            break;
        }
        lock.unlock();
        Result<> result = block(deadline);
        lock.lock();
        remove(waiter);
        if (result.is_error() && !condition()) {
            // A wake-up that was meant for this exclusive waiter goes on to the next.
            if (exclusive)
                wake(1);
            return result.error();
        }
    }
    return {};
}

} // namespace eremite
