// Changing how, and where, a thread is scheduled.
#include "sched/run_queue.h"

namespace eremite {

namespace {

/// Calls `change` with the thread taken out of its run queue, if it is in one, and put back afterwards.
template<typename Change> void change_in_queue(RunQueue& queue, Change change)
{
    bool enabled = arch::disable_interrupts();
    queue.lock.lock();
    change();
    queue.lock.unlock();
    if (enabled)
        arch::enable_interrupts();
}

} // namespace

void Scheduler::set_scheduling(Thread& thread, SchedulingPolicy policy, u8 priority)
{
    arch::disable_preemption();
    u32 cpu = thread.m_cpu.load(std::memory_order_relaxed);
    RunQueue& queue = queue_of(cpu);
    change_in_queue(queue, [&]() NO_THREAD_SAFETY_ANALYSIS {
        // A thread that moves to another queue just now is put there by its old or its new priority; either is in time.
        bool is_queued = thread.m_queue_hook.is_linked() && thread.m_queue_cpu == cpu;
        if (is_queued)
            queue.remove(thread);
        thread.m_policy.store(policy, std::memory_order_relaxed);
        thread.m_priority.store(priority, std::memory_order_relaxed);
        if (is_queued)
            queue.push(thread, false);
    });
    request_reschedule(cpu);
    arch::enable_preemption();
}

Result<> Scheduler::set_affinity(Thread& thread, CpuMask mask)
{
    if ((mask & s_online.load(std::memory_order_relaxed)) == 0)
        return Errno::EINVAL;
    thread.m_affinity.store(mask, std::memory_order_relaxed);
    u32 cpu = thread.m_cpu.load(std::memory_order_relaxed);
    if ((mask >> cpu & 1) != 0)
        return {};
    // It has to leave that processor, which then may have nothing to run and no thread to wait in: it gets one, that
    // ends at once.
    auto placeholder = TRY(create("move", [](void*) { }, nullptr));
    placeholder->m_affinity.store(CpuMask { 1 } << cpu, std::memory_order_relaxed);
    placeholder->m_cpu.store(cpu, std::memory_order_relaxed);
    arch::disable_preemption();
    bool was_queued = false;
    RunQueue& queue = queue_of(cpu);
    change_in_queue(queue, [&]() NO_THREAD_SAFETY_ANALYSIS {
        was_queued = thread.m_queue_hook.is_linked() && thread.m_queue_cpu == cpu;
        if (was_queued)
            queue.remove(thread);
    });
    if (was_queued)
        enqueue(thread, false);
    placeholder->start();
    request_reschedule(cpu);
    arch::enable_preemption();
    return {};
}

void set_scheduling(Thread& thread, SchedulingPolicy policy, u8 priority)
{
    Scheduler::set_scheduling(thread, policy, priority);
}

Result<> set_affinity(Thread& thread, CpuMask mask)
{
    return Scheduler::set_affinity(thread, mask);
}

} // namespace eremite
