#include "net/component/kernel_environment.h"

#include "net/stack.h"
#include "random/random.h"
#include "sched/clock.h"
#include "sched/thread.h"

namespace eremite::net {

KernelEnvironment::KernelEnvironment()
    : m_timer(timer_fired, this)
{
}

Nanoseconds KernelEnvironment::now()
{
    return monotonic_now();
}

Nanoseconds KernelEnvironment::wall_clock()
{
    return realtime_now();
}

void KernelEnvironment::random(std::span<u8> destination)
{
    random_fill(destination);
}

void KernelEnvironment::deadline_changed()
{
    if (!m_stack)
        return; // start() sees to it
    Locked lock(m_timer_lock);
    m_timer_fired.store(false, std::memory_order_relaxed);
    if (Nanoseconds deadline = m_stack->next_deadline(); deadline != Nanoseconds::max())
        m_timer.arm(deadline);
}

void KernelEnvironment::timer_fired(Timer& timer)
{
    auto& self = *static_cast<KernelEnvironment*>(timer.context());
    self.m_timer_fired.store(true, std::memory_order_relaxed);
    // Without the lock: whoever holds it to arm the timer waits until we are through.
    if (Nanoseconds next = self.m_stack->deadline_passed(); next != Nanoseconds::max())
        timer.arm(next);
}

void KernelEnvironment::work_arrived()
{
    if (m_pollers.wake(1) > 0)
        return;
    m_work.store(true, std::memory_order_release);
    m_worker_queue.wake_all();
}

Result<> KernelEnvironment::start(Stack& stack)
{
    m_stack = &stack;
    deadline_changed();
    auto thread = TRY(Thread::create_kernel("net", work, this));
    return {};
}

void KernelEnvironment::work(void* argument)
{
    auto& self = *static_cast<KernelEnvironment*>(argument);
    Stack& stack = *self.m_stack;
    while (true) {
        self.m_work.store(false, std::memory_order_relaxed);
        do {
            while (stack.poll(Stack::IfBusy::HandOver)) { }
            stack.finish();
        } while (stack.enable_interrupts());
        Waiter waiter(arch::current_thread());
        prepare_to_block(Interruptible::No);
        self.m_worker_queue.add(waiter);
        if (self.m_work.load(std::memory_order_acquire)) {
            cancel_block();
        } else if (auto slept = block(); slept.is_error()) {
        }
        self.m_worker_queue.remove(waiter);
    }
}

/// Polls as long as it pays; true if the condition came about.
bool KernelEnvironment::spin(Stack& stack, bool (*condition)(void*), void* context, Nanoseconds deadline)
{
    if (m_poll_limit == Nanoseconds())
        return false;
    i64 budget = m_poll_time.load(std::memory_order_relaxed);
    Nanoseconds start = monotonic_now();
    Nanoseconds end = std::min(start + Nanoseconds(budget), deadline);
    stack.disable_interrupts();
    bool met = false;
    Nanoseconds time = start;
    do {
        if (stack.poll())
            stack.finish();
        met = condition(context);
        time = monotonic_now();
    } while (!met && time < end);
    i64 limit = m_poll_limit.value();
    // Doubled where it paid, halved where it didn't.
    i64 next = met ? std::min(budget * 2, limit) : std::max(budget / 2, limit / 64);
    m_poll_time.store(next, std::memory_order_relaxed);
    return met;
}

Result<> KernelEnvironment::sleep(Nanoseconds deadline)
{
    if (m_poll_limit == Nanoseconds())
        return block(deadline);
    Nanoseconds start = monotonic_now();
    auto slept = block(deadline);
    // So short a sleep would better have been spent polling: next time.
    i64 slept_for = (monotonic_now() - start).value();
    if (slept_for < m_poll_limit.value())
        m_poll_time.store(std::min(slept_for * 2, m_poll_limit.value()), std::memory_order_relaxed);
    return slept;
}

Result<> KernelEnvironment::wait(
    Stack& stack, WaitQueue& queue, bool (*condition)(void*), void* context, Nanoseconds deadline)
{
    auto leave = [&](Result<> result) {
        // Interrupts stay on while nobody polls, or the next packet would go unnoticed.
        if (stack.enable_interrupts())
            work_arrived();
        return result;
    };
    if (spin(stack, condition, context, deadline))
        return leave({});
    while (true) {
        while (stack.has_work() && stack.poll(Stack::IfBusy::HandOver)) {
            stack.finish();
            if (condition(context))
                return leave({});
        }
        Result<> slept;
        bool picked;
        {
            Waiter own(arch::current_thread());
            Waiter poller(arch::current_thread());
            prepare_to_block(Interruptible::Yes);
            queue.add(own);
            m_pollers.add(poller, true);
            if (condition(context) || stack.enable_interrupts()) {
                cancel_block();
            } else {
                slept = sleep(deadline);
            }
            picked = !poller.is_queued();
            queue.remove(own);
            m_pollers.remove(poller);
        }
        // A device's interrupt chose this thread: what it brought is for this thread to process, whoever it is for.
        if (picked && stack.poll(Stack::IfBusy::HandOver))
            stack.finish();
        if (condition(context))
            return leave({});
        if (slept.is_error())
            return leave(std::move(slept));
    }
}

} // namespace eremite::net
