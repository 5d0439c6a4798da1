#include "sched/futex.h"

#include "arch/user_copy.h"
#include "base/chain.h"
#include "sched/thread.h"
#include "syscall/user_pointer.h"
#include <array>
#include <utility>

namespace eremite {

namespace {

struct Bucket;

/// On the sleeper's stack. `bucket` is null once it has been woken, and its waker is done with it.
struct FutexWaiter {
    Thread* thread { nullptr };
    u64 address { 0 };
    u32 bitset { 0 };
    std::atomic<Bucket*> bucket { nullptr };
    ChainHook<FutexWaiter> hook {};
};

struct Bucket {
    SpinLock lock;
    Chain<FutexWaiter, &FutexWaiter::hook> waiters GUARDED_BY(lock);
};

constinit std::array<Bucket, g_futex_waiters.size()> s_buckets {};

Bucket& bucket_of(u64 address)
{
    return s_buckets[futex_hash(address)];
}

/// How many wait at addresses that share a bucket with this.
std::atomic<u32>& count_of(u64 address)
{
    return g_futex_waiters[futex_hash(address)];
}

Result<> check(u64 address)
{
    if ((address & 3) != 0)
        return Errno::EINVAL;
    if (!is_application_range(address, sizeof(u32)))
        return Errno::EFAULT;
    return {};
}

const u32* word(u64 address)
{
    return reinterpret_cast<const u32*>(address);
}

/// Under the bucket's lock; the sleeper returns only after it is let go.
void wake_waiter(Bucket& bucket, FutexWaiter& waiter) REQUIRES(bucket.lock)
{
    bucket.waiters.remove(waiter);
    count_of(waiter.address).fetch_sub(1, std::memory_order_relaxed);
    wake_thread(*waiter.thread);
    waiter.bucket.store(nullptr, std::memory_order_release);
}

usize wake_in(Bucket& bucket, u64 address, usize count, u32 bitset) REQUIRES(bucket.lock)
{
    usize woken = 0;
    for (FutexWaiter* waiter = bucket.waiters.first(); waiter && woken < count;) {
        FutexWaiter* next = bucket.waiters.next(*waiter);
        if (waiter->address == address && (waiter->bitset & bitset) != 0) {
            wake_waiter(bucket, *waiter);
            ++woken;
        }
        waiter = next;
    }
    return woken;
}

enum class Queued : u8 { Yes, Changed, Absent };

/// Puts the waiter on its queue if the word is still `expected`.
Queued enqueue_if(Bucket& bucket, FutexWaiter& waiter, u32 expected)
{
    count_of(waiter.address).fetch_add(1, std::memory_order_seq_cst);
    Locked lock(bucket.lock);
    u32 value = 0;
    bool is_there = arch::load_user(word(waiter.address), value);
    if (is_there && value == expected) {
        waiter.bucket.store(&bucket, std::memory_order_relaxed);
        bucket.waiters.push_back(waiter);
        prepare_to_block(Interruptible::Yes);
        return Queued::Yes;
    }
    count_of(waiter.address).fetch_sub(1, std::memory_order_relaxed);
    return is_there ? Queued::Changed : Queued::Absent;
}

/// False if somebody has woken it.
bool take_back(FutexWaiter& waiter)
{
    while (Bucket* bucket = waiter.bucket.load(std::memory_order_acquire)) {
        Locked lock(bucket->lock);
        if (waiter.bucket.load(std::memory_order_relaxed) != bucket)
            continue; // moved, or woken just now
        bucket->waiters.remove(waiter);
        count_of(waiter.address).fetch_sub(1, std::memory_order_relaxed);
        return true;
    }
    return false;
}

/// Two buckets in the order of their addresses; perhaps the same.
class BothLocked {
public:
    BothLocked(Bucket& a, Bucket& b) NO_THREAD_SAFETY_ANALYSIS : m_first(&a < &b ? a : b), m_second(&a < &b ? b : a)
    {
        m_first.lock.lock();
        if (&m_first != &m_second)
            m_second.lock.lock();
    }
    ~BothLocked() NO_THREAD_SAFETY_ANALYSIS
    {
        if (&m_first != &m_second)
            m_second.lock.unlock();
        m_first.lock.unlock();
    }
    BothLocked(const BothLocked&) = delete;
    BothLocked& operator=(const BothLocked&) = delete;

private:
    Bucket& m_first;
    Bucket& m_second;
};

} // namespace

Result<> futex_wait(u64 address, u32 expected, u32 bitset, Nanoseconds deadline)
{
    TRY(check(address));
    if (bitset == 0)
        return Errno::EINVAL;
    Bucket& bucket = bucket_of(address);
    while (true) {
        FutexWaiter waiter { .thread = &current(), .address = address, .bitset = bitset };
        switch (enqueue_if(bucket, waiter, expected)) {
        case Queued::Changed:
            return Errno::EAGAIN;
        case Queued::Absent: {
            // The page isn't there; under the lock it couldn't be brought.
            u32 value;
            if (!arch::load_user(word(address), value))
                return Errno::EFAULT;
            continue;
        }
        case Queued::Yes:
            break;
        }
        Result<> result = block(deadline);
        if (!take_back(waiter))
            return {};
        if (result.is_error())
            return result.error();
    }
}

Result<usize> futex_wake(u64 address, usize count, u32 bitset)
{
    TRY(check(address));
    if (bitset == 0)
        return Errno::EINVAL;
    if (!futex_may_have_waiters(address))
        return usize { 0 };
    Bucket& bucket = bucket_of(address);
    Locked lock(bucket.lock);
    return wake_in(bucket, address, count, bitset);
}

Result<usize> futex_requeue(
    u64 address, u64 target, usize wake_count, usize move_count, const u32* expected) NO_THREAD_SAFETY_ANALYSIS
{
    TRY(check(address));
    TRY(check(target));
    Bucket& from = bucket_of(address);
    Bucket& to = bucket_of(target);
    while (true) {
        BothLocked lock(from, to);
        u32 value;
        if (expected && !arch::load_user(word(address), value))
            break;
        if (expected && value != *expected)
            return Errno::EAGAIN;
        usize done = wake_in(from, address, wake_count, ~u32 { 0 });
        for (FutexWaiter* waiter = from.waiters.first(); waiter && move_count > 0;) {
            FutexWaiter* next = from.waiters.next(*waiter);
            if (waiter->address == address) {
                from.waiters.remove(*waiter);
                count_of(address).fetch_sub(1, std::memory_order_relaxed);
                waiter->address = target;
                count_of(target).fetch_add(1, std::memory_order_relaxed);
                to.waiters.push_back(*waiter);
                waiter->bucket.store(&to, std::memory_order_release);
                --move_count;
                ++done;
                // Within one bucket it stands behind `next` now, and is not met again: its address has changed.
            }
            waiter = next;
        }
        return done;
    }
    u32 value;
    if (!arch::load_user(word(address), value))
        return Errno::EFAULT;
    return futex_requeue(address, target, wake_count, move_count, expected);
}

namespace {

/// The operation of FUTEX_WAKE_OP on the word; its old value. EFAULT; ENOSYS: no such operation.
Result<u32> change_word(u64 address, u32 operation)
{
    constexpr u32 shift_argument = 8;
    u32 kind = operation >> 28;
    // 12-bit signed.
    auto argument = static_cast<u32>(static_cast<i32>(operation << 8) >> 20);
    if ((kind & shift_argument) != 0)
        argument = u32 { 1 } << (argument & 31);
    u32 old;
    if (!arch::load_user(word(address), old))
        return Errno::EFAULT;
    while (true) {
        u32 desired;
        switch (kind & 7) {
        case 0:
            desired = argument;
            break;
        case 1:
            desired = old + argument;
            break;
        case 2:
            desired = old | argument;
            break;
        case 3:
            desired = old & ~argument;
            break;
        case 4:
            desired = old ^ argument;
            break;
        default:
            return Errno::ENOSYS;
        }
        u32 seen = old;
        if (!arch::compare_exchange_user(reinterpret_cast<u32*>(address), seen, desired))
            return Errno::EFAULT;
        if (seen == old)
            return old;
        old = seen;
    }
}

Result<bool> compares(u32 old, u32 operation)
{
    auto value = static_cast<i32>(old);
    i32 argument = static_cast<i32>(operation << 20) >> 20;
    switch (operation >> 24 & 15) {
    case 0:
        return value == argument;
    case 1:
        return value != argument;
    case 2:
        return value < argument;
    case 3:
        return value <= argument;
    case 4:
        return value > argument;
    case 5:
        return value >= argument;
    default:
        return Errno::ENOSYS;
    }
}

} // namespace

Result<usize> futex_wake_operation(
    u64 address, u64 second, usize count, usize second_count, u32 operation) NO_THREAD_SAFETY_ANALYSIS
{
    TRY(check(address));
    TRY(check(second));
    // The change and the wake-ups need not be one step for those who watch: a waiter whose word has changed before it
    // slept doesn't sleep, and one that slept before is found.
    u32 old = TRY(change_word(second, operation));
    bool also_second = TRY(compares(old, operation));
    Bucket& bucket = bucket_of(address);
    Bucket& second_bucket = bucket_of(second);
    BothLocked lock(bucket, second_bucket);
    usize woken = wake_in(bucket, address, count, ~u32 { 0 });
    if (also_second)
        woken += wake_in(second_bucket, second, second_count, ~u32 { 0 });
    return woken;
}

namespace {

void release_robust_mutex(u64 address, i32 tid, bool is_pending)
{
    constexpr u32 waiters = 0x8000'0000;
    constexpr u32 owner_died = 0x4000'0000;
    constexpr u32 tid_mask = 0x3fff'ffff;
    u32 value;
    if (check(address).is_error() || !arch::load_user(word(address), value))
        return;
    // It died between unlocking and waking: the waiter that it would have woken is woken instead.
    if (is_pending && value == 0) {
        static_cast<void>(futex_wake(address, 1));
        return;
    }
    while ((value & tid_mask) == static_cast<u32>(tid)) {
        u32 seen = value;
        if (!arch::compare_exchange_user(reinterpret_cast<u32*>(address), seen, (value & waiters) | owner_died))
            return;
        if (seen == value) {
            if ((value & waiters) != 0)
                static_cast<void>(futex_wake(address, 1));
            return;
        }
        value = seen;
    }
}

} // namespace

void release_robust_list(u64 head, i32 tid)
{
    // struct robust_list_head: first entry, offset of the word from an entry, the entry being changed. Bit 0 of an
    // entry says that it is a PI mutex.
    constexpr unsigned limit = 2048;
    auto first = UserPointer<u64>(head).read();
    auto offset = UserPointer<i64>(head + 8).read();
    auto pending = UserPointer<u64>(head + 16).read();
    if (first.is_error() || offset.is_error() || pending.is_error())
        return;
    auto futex_of = [&](u64 entry) { return entry + static_cast<u64>(offset.value()); };
    u64 being_changed = pending.value() & ~u64 { 1 };
    u64 entry = first.value() & ~u64 { 1 };
    for (unsigned i = 0; i < limit && entry != head; ++i) {
        auto next = UserPointer<u64>(entry).read(); // before its owner to be frees it
        if (entry != being_changed)
            release_robust_mutex(futex_of(entry), tid, false);
        if (next.is_error())
            return;
        entry = next.value() & ~u64 { 1 };
    }
    if (being_changed != 0)
        release_robust_mutex(futex_of(being_changed), tid, true);
}

} // namespace eremite
