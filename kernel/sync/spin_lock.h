// Locks that never sleep. SpinLock keeps the holder from being preempted; InterruptSpinLock also keeps interrupts off
// this processor, for data that interrupt handlers touch. Held by guards only:
//     Locked lock(m_lock);
// Data says which lock it is under: `GUARDED_BY(m_lock)`; clang checks (-Wthread-safety).
#pragma once

#include "arch/cpu.h"
#include "sync/annotations.h"
#include "sync/lock_order.h"
#include <atomic>

namespace eremite {

/// The bare lock: whoever takes it has preemption or interrupts off already. For the scheduler and for the locks below.
class CAPABILITY("RawSpinLock") RawSpinLock {
public:
    constexpr RawSpinLock() = default;
    RawSpinLock(const RawSpinLock&) = delete;
    RawSpinLock& operator=(const RawSpinLock&) = delete;

    void lock() ACQUIRE()
    {
        while (m_held.exchange(true, std::memory_order_acquire)) {
            while (m_held.load(std::memory_order_relaxed))
                arch::relax();
        }
    }
    bool try_lock() TRY_ACQUIRE(true) { return !m_held.exchange(true, std::memory_order_acquire); }
    void unlock() RELEASE() { m_held.store(false, std::memory_order_release); }
    bool is_held() const { return m_held.load(std::memory_order_relaxed); }

private:
    std::atomic<bool> m_held { false };
};

/// Test-and-test-and-set. Not recursive.
class CAPABILITY("SpinLock") SpinLock : private LockOrder {
public:
#if EREMITE_LOCK_ORDER
    constexpr SpinLock(LOCK_ORDER_PLACE)
        : LockOrder(LOCK_ORDER_BASE)
    {
    }
#else
    constexpr SpinLock() = default;
#endif
    SpinLock(const SpinLock&) = delete;
    SpinLock& operator=(const SpinLock&) = delete;

    void lock() ACQUIRE() NO_THREAD_SAFETY_ANALYSIS
    {
        arch::disable_preemption();
        note_acquire();
        m_lock.lock();
    }
    bool try_lock() TRY_ACQUIRE(true) NO_THREAD_SAFETY_ANALYSIS
    {
        arch::disable_preemption();
        if (m_lock.try_lock()) {
            note_acquired();
            return true;
        }
        arch::enable_preemption();
        return false;
    }
    /// May switch threads, if a reschedule became due meanwhile.
    void unlock() RELEASE() NO_THREAD_SAFETY_ANALYSIS
    {
        note_release();
        m_lock.unlock();
        arch::enable_preemption();
    }
    bool is_held() const { return m_lock.is_held(); }

private:
    RawSpinLock m_lock;
};

/// A SpinLock that also disables interrupts while held and restores what was.
class CAPABILITY("InterruptSpinLock") InterruptSpinLock : private LockOrder {
public:
#if EREMITE_LOCK_ORDER
    constexpr InterruptSpinLock(LOCK_ORDER_PLACE)
        : LockOrder(LOCK_ORDER_BASE)
    {
    }
#else
    constexpr InterruptSpinLock() = default;
#endif
    InterruptSpinLock(const InterruptSpinLock&) = delete;
    InterruptSpinLock& operator=(const InterruptSpinLock&) = delete;

    void lock() ACQUIRE() NO_THREAD_SAFETY_ANALYSIS
    {
        bool enabled = arch::disable_interrupts();
        arch::disable_preemption();
        note_acquire();
        m_lock.lock();
        m_interrupts_were_enabled = enabled;
    }
    void unlock() RELEASE() NO_THREAD_SAFETY_ANALYSIS
    {
        bool enabled = m_interrupts_were_enabled;
        note_release();
        m_lock.unlock();
        if (enabled)
            arch::enable_interrupts();
        arch::enable_preemption();
    }
    bool is_held() const { return m_lock.is_held(); }

private:
    RawSpinLock m_lock;
    bool m_interrupts_were_enabled { false };
};

/// Guard of any lock of the kernel (SpinLock, InterruptSpinLock, Mutex).
template<typename Lock> class SCOPED_CAPABILITY Locked {
public:
    explicit Locked(Lock& lock) ACQUIRE(lock)
        : m_lock(lock)
    {
        m_lock.lock();
    }
    ~Locked() RELEASE() { m_lock.unlock(); }
    Locked(const Locked&) = delete;
    Locked& operator=(const Locked&) = delete;

private:
    Lock& m_lock;
};

} // namespace eremite
