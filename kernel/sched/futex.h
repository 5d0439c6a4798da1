// Futexes: threads asleep by the address of a word of the application's. There is one address space, so the address is
// the key, private or not.
#pragma once

#include "base/result.h"
#include "base/types.h"
#include <array>
#include <atomic>

namespace eremite {

/// Those that wait at an address, or are about to look at its word, by a hash of the address: a waker that finds none
/// has nothing to lock.
inline constinit std::array<std::atomic<u32>, 64> g_futex_waiters {};
inline usize futex_hash(u64 address)
{
    return (address >> 2) * 0x9e37'79b9'7f4a'7c15 >> 58;
}

/// Whether there may be somebody to wake at `address`. To be asked after the word has been changed: whoever isn't
/// counted yet will see the change.
inline bool futex_may_have_waiters(u64 address)
{
    std::atomic_thread_fence(std::memory_order_seq_cst);
    return g_futex_waiters[futex_hash(address)].load(std::memory_order_relaxed) != 0;
}

/// Sleeps while the word at `address` is `expected`, until a wake whose bits meet `bitset`. EAGAIN: it isn't;
/// ETIMEDOUT; EINTR; EFAULT; EINVAL for an address that isn't a multiple of 4 or an empty bitset.
Result<> futex_wait(u64 address, u32 expected, u32 bitset, Nanoseconds deadline);
/// Wakes up to `count` whose bits meet `bitset`, longest asleep first; how many they were. EFAULT, EINVAL.
Result<usize> futex_wake(u64 address, usize count, u32 bitset = ~u32 { 0 });
/// Wakes up to `wake_count`, moves up to `move_count` to the queue of `target`. If `expected` is given, only while the
/// word is that: else EAGAIN. How many were woken and moved.
Result<usize> futex_requeue(u64 address, u64 target, usize wake_count, usize move_count, const u32* expected);
/// FUTEX_WAKE_OP: changes the word at `second` as `operation` says, wakes at `address`, and at `second` if its old
/// value compares as `operation` says.
Result<usize> futex_wake_operation(u64 address, u64 second, usize count, usize second_count, u32 operation);

/// The robust list of a thread that ends (robust(7)): its mutexes get FUTEX_OWNER_DIED, and a waiter each.
void release_robust_list(u64 head, i32 tid);

} // namespace eremite
