// Blocking and waking on arch `host`: what sched/wait_queue.h asks of the scheduler, by a condition variable per
// thread. A Thread here is never looked into: its address stands for a thread of the test process.
#include <condition_variable>
#include <mutex>

#include "arch/clock.h"
#include "sched/wait_queue.h"

namespace eremite {

namespace {

struct HostThread {
    std::mutex mutex;
    std::condition_variable changed;
    bool is_woken { false };
};

HostThread& this_thread()
{
    static thread_local HostThread thread;
    return thread;
}

} // namespace

void prepare_to_block(Interruptible)
{
    HostThread& thread = this_thread();
    std::lock_guard lock(thread.mutex);
    thread.is_woken = false;
}

Result<> block(Nanoseconds deadline)
{
    HostThread& thread = this_thread();
    std::unique_lock lock(thread.mutex);
    while (!thread.is_woken) {
        Nanoseconds left = deadline - arch::now();
        if (left <= Nanoseconds())
            return Errno::ETIMEDOUT;
        // In short waits, so that a test may move the clock.
        thread.changed.wait_for(lock, std::chrono::nanoseconds(std::min<i64>(left.value(), 10'000'000)));
    }
    return {};
}

void cancel_block() { }

void wake_thread(Thread& thread)
{
    auto& host = reinterpret_cast<HostThread&>(thread);
    std::lock_guard lock(host.mutex);
    host.is_woken = true;
    host.changed.notify_one();
}

Result<> sleep_until(Nanoseconds deadline, Interruptible interruptible)
{
    prepare_to_block(interruptible);
    static_cast<void>(block(deadline).is_error());
    return {};
}

#if EREMITE_LOCK_ORDER
HeldLocks& held_locks()
{
    static thread_local HeldLocks locks;
    return locks;
}
#endif

namespace arch {

Thread* this_host_thread()
{
    return reinterpret_cast<Thread*>(&this_thread());
}

} // namespace arch

} // namespace eremite
