// The stack's environment in the kernel: its clock, its random numbers, and how threads wait for packets.
//
// There is no stack thread on the way of a packet: a thread that waits for its socket polls the devices itself, for a
// short while that adapts to what has paid lately, and then sleeps until its socket or a device's interrupt wakes it.
// Only when no thread waits (they compute, or sit in epoll) a worker does what the interrupt asks for.
#pragma once

#include "net/environment.h"
#include "sched/timer.h"
#include "sched/wait_queue.h"

namespace eremite::net {

class KernelEnvironment final : public Environment {
public:
    KernelEnvironment();

    Nanoseconds now() override;
    Nanoseconds wall_clock() override;
    void random(std::span<u8> destination) override;
    void deadline_changed() override;
    bool may_be_due(Nanoseconds) override { return m_timer_fired.load(std::memory_order_relaxed); }
    void work_arrived() override;
    Result<> wait(Stack&, WaitQueue&, bool (*condition)(void*), void* context, Nanoseconds deadline) override;

    /// Starts the worker. ENOMEM.
    Result<> start(Stack& stack);
    /// The longest time to poll before sleeping; 0: never poll.
    void set_poll_limit(Nanoseconds limit) { m_poll_limit = limit; }

private:
    static void timer_fired(Timer& timer);
    static void work(void* self);
    Result<> sleep(Nanoseconds deadline);
    bool spin(Stack& stack, bool (*condition)(void*), void* context, Nanoseconds deadline);

    InterruptSpinLock m_timer_lock;
    Timer m_timer GUARDED_BY(m_timer_lock);
    /// Since the timer was armed last.
    std::atomic<bool> m_timer_fired { false };
    WaitQueue m_pollers;
    WaitQueue m_worker_queue;
    std::atomic<bool> m_work { false };
    Stack* m_stack { nullptr };
    Nanoseconds m_poll_limit { Nanoseconds::from_microseconds(200) };
    /// How long polling has been worth lately.
    std::atomic<i64> m_poll_time { 50'000 };
};

} // namespace eremite::net
