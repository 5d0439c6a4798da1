// Finds spin locks that are taken in both orders, before two processors do so at once and wait for each other. A check
// of builds that ask for it (EREMITE_LOCK_ORDER: the host's tests do, and the kernel with -DLOCK_ORDER=ON); otherwise
// all of this is empty.
//
// A lock belongs to a class, which is where in the source its object was declared. Whenever a lock is taken while
// others are held, each of their classes is noted to come before its own; if by what was noted so far its own comes
// before one of theirs, that is reported, with both. Two locks of one class are not compared: where both are held,
// their addresses say the order (futex.cpp). Not checked: locks that sleep, and the scheduler's bare ones.
#pragma once

#include "base/types.h"

#if EREMITE_LOCK_ORDER
#include <array>
#include <atomic>
#endif

namespace eremite {

#if EREMITE_LOCK_ORDER

struct LockClass {
    const char* file { nullptr };
    u32 line { 0 };
    bool operator==(const LockClass& other) const;
};

/// What a processor holds, as whoever holds such a lock isn't preempted; on arch `host`, a thread. The last taken is
/// last.
struct HeldLocks {
    static constexpr usize k_limit = 16;
    struct Entry {
        const void* lock { nullptr };
        LockClass lock_class;
    };
    std::array<Entry, k_limit> entries {};
    usize count { 0 };
};
/// The running one's. arch/host has its own.
HeldLocks& held_locks();

/// Called for each pair that is found, once; panics unless a test says otherwise. `before` was always taken first, and
/// now `after` is held already.
using LockOrderReport = void (*)(LockClass before, LockClass after);
LockOrderReport set_lock_order_report(LockOrderReport report);

/// Base of a lock.
class LockOrder {
public:
    constexpr LockOrder(const char* file, u32 line)
        : m_class { file, line }
    {
    }
    /// Before it is waited for.
    void note_acquire() const;
    /// Without the check: it was there for the taking (try_lock), so that nobody waited.
    void note_acquired() const;
    void note_release() const;

private:
    LockClass m_class;
};

#define LOCK_ORDER_PLACE const char *file = __builtin_FILE(), ::eremite::u32 line = __builtin_LINE()
#define LOCK_ORDER_BASE file, line

#else

class LockOrder {
public:
    void note_acquire() const { }
    void note_acquired() const { }
    void note_release() const { }
};

#endif

} // namespace eremite
