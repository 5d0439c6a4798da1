#include "sched/timer.h"

#include "sched/run_queue.h"

namespace eremite {

Timer* TimerQueue::merge(Timer* a, Timer* b)
{
    if (!a)
        return b;
    if (!b)
        return a;
    if (is_earlier(*b, *a))
        std::swap(a, b);
    b->m_sibling = a->m_child;
    if (b->m_sibling)
        b->m_sibling->m_previous = b;
    b->m_previous = a;
    a->m_child = b;
    return a;
}

Timer* TimerQueue::merge_pairs(Timer* first)
{
    // Left to right in pairs, pushed on a stack through m_previous; then from the right all into one.
    Timer* stack = nullptr;
    while (first) {
        Timer* second = first->m_sibling;
        Timer* rest = second ? second->m_sibling : nullptr;
        first->m_sibling = nullptr;
        if (second)
            second->m_sibling = nullptr;
        Timer* pair = merge(first, second);
        pair->m_previous = stack;
        stack = pair;
        first = rest;
    }
    Timer* root = nullptr;
    while (stack) {
        Timer* below = stack->m_previous;
        stack->m_previous = nullptr;
        root = merge(root, stack);
        stack = below;
    }
    return root;
}

void TimerQueue::unlink(Timer& timer)
{
    Timer* children = merge_pairs(std::exchange(timer.m_child, nullptr));
    if (&timer == m_root) {
        m_root = children;
    } else {
        Timer& previous = *timer.m_previous;
        (previous.m_child == &timer ? previous.m_child : previous.m_sibling) = timer.m_sibling;
        if (timer.m_sibling)
            timer.m_sibling->m_previous = &previous;
        m_root = merge(m_root, children);
    }
    timer.m_sibling = nullptr;
    timer.m_previous = nullptr;
    timer.m_is_armed.store(false, std::memory_order_relaxed);
    update_next();
}

void TimerQueue::update_next()
{
    m_next.store(m_root ? m_root->m_deadline.value() : INT64_MAX, std::memory_order_relaxed);
}

void TimerQueue::insert(Timer& timer, Nanoseconds deadline, u32 cpu)
{
    m_lock.lock();
    timer.m_deadline = deadline;
    timer.m_cpu.store(cpu, std::memory_order_relaxed);
    timer.m_is_armed.store(true, std::memory_order_relaxed);
    m_root = merge(m_root, &timer);
    update_next();
    m_lock.unlock();
}

bool TimerQueue::try_remove(Timer& timer)
{
    bool enabled = arch::disable_interrupts();
    m_lock.lock();
    // On the queue's own processor a running callback can only be the caller.
    bool done = m_running != &timer || timer.m_cpu.load(std::memory_order_relaxed) == arch::this_cpu().id;
    if (timer.m_is_armed.load(std::memory_order_relaxed))
        unlink(timer);
    m_lock.unlock();
    if (enabled)
        arch::enable_interrupts();
    return done;
}

void TimerQueue::run_expired(Nanoseconds now)
{
    m_lock.lock();
    while (m_root && m_root->m_deadline <= now) {
        Timer& timer = *m_root;
        unlink(timer);
        m_running = &timer;
        m_lock.unlock();
        timer.m_callback(timer);
        m_lock.lock();
        m_running = nullptr;
    }
    m_lock.unlock();
}

void Timer::arm(Nanoseconds deadline)
{
    cancel();
    bool enabled = arch::disable_interrupts();
    RunQueue& queue = Scheduler::this_queue();
    queue.timers.insert(*this, deadline, arch::this_cpu().id);
    Scheduler::program_timer(queue);
    if (enabled)
        arch::enable_interrupts();
}

void Timer::cancel()
{
    // The callback may be running on another processor, and may arm the timer again: only when neither is so is it
    // over.
    while (true) {
        u32 cpu = m_cpu.load(std::memory_order_acquire);
        if (cpu == k_never_armed || Scheduler::queue_of(cpu).timers.try_remove(*this))
            return;
        arch::relax();
    }
}

} // namespace eremite
