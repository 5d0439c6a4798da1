// pthread_mutex_lock and pthread_mutex_unlock, linked in place of libc's as clock_gettime is (application_clock.cpp):
// the way of an ordinary mutex alone, without a frame. All else is libc's to do, under its inner names.
#include "base/types.h"
#include <atomic>

extern "C" {
#pragma GCC visibility push(hidden)
long __eremite_sys_futex(long address, long operation, long value, long timeout, long second, long third);
/// What libc has in a pthread_mutex_t (musl, src/internal/pthread_impl.h).
struct __eremite_mutex {
    eremite::u32 type;
    std::atomic<eremite::i32> lock;
    std::atomic<eremite::i32> waiters;
};
int __pthread_mutex_lock(__eremite_mutex* mutex);
int __pthread_mutex_unlock(__eremite_mutex* mutex);
// Labels, as headers declare them with types that aren't ours; weak, as libc's are.
[[gnu::weak]] int __eremite_mutex_lock(__eremite_mutex* mutex) __asm__("pthread_mutex_lock");
[[gnu::weak]] int __eremite_mutex_unlock(__eremite_mutex* mutex) __asm__("pthread_mutex_unlock");
#pragma GCC visibility pop
}

namespace {

constexpr eremite::u32 k_type = 15; // 0: PTHREAD_MUTEX_NORMAL, neither robust nor with priority inheritance
constexpr eremite::u32 k_shared = 128;
constexpr eremite::i32 k_locked = 16; // libc's EBUSY; a negative value says that there may be waiters

[[gnu::noinline, gnu::cold, gnu::section(".application_text.mutex")]] int wake(
    __eremite_mutex& mutex, eremite::u32 type)
{
    constexpr long futex_wake = 1;
    constexpr long futex_private = 128;
    __eremite_sys_futex(
        reinterpret_cast<long>(&mutex.lock), futex_wake | ((type & k_shared) != 0 ? 0 : futex_private), 1, 0, 0, 0);
    return 0;
}

} // namespace

[[gnu::section(".application_text.mutex")]] int __eremite_mutex_lock(__eremite_mutex* mutex)
{
    eremite::i32 expected = 0;
    if ((mutex->type & k_type) == 0 && mutex->lock.compare_exchange_strong(expected, k_locked)) [[likely]]
        return 0;
    return __pthread_mutex_lock(mutex);
}

[[gnu::section(".application_text.mutex")]] int __eremite_mutex_unlock(__eremite_mutex* mutex)
{
    const eremite::u32 type = mutex->type;
    if ((type & k_type) != 0) [[unlikely]]
        return __pthread_mutex_unlock(mutex);
    // Once it is unlocked it may be destroyed, by whoever locks it next.
    const bool has_waiters = mutex->waiters.load(std::memory_order_relaxed) != 0;
    if (mutex->lock.exchange(0) < 0 || has_waiters) [[unlikely]]
        return wake(*mutex, type);
    return 0;
}
