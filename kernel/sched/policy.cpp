// Changing how, and where, a thread is scheduled.
#include "sched/run_queue.h"

namespace eremite {

RunQueue* Scheduler::lock_queue_of(const Thread& thread)
{
    while (true) {
        u32 cpu = thread.m_queue_cpu.load(std::memory_order_seq_cst);
        if (cpu == Thread::k_no_queue)
            return nullptr;
        RunQueue& queue = queue_of(cpu);
        queue.lock.lock();
        if (thread.m_queue_cpu.load(std::memory_order_relaxed) == cpu)
            return &queue;
        queue.lock.unlock(); // it has just left
    }
}

void Scheduler::set_scheduling(Thread& thread, SchedulingPolicy policy, u8 priority) NO_THREAD_SAFETY_ANALYSIS
{
    // Whoever puts it into a queue from now on does so by these; in the queue that it is in, it gets a new place.
    thread.m_policy.store(policy, std::memory_order_seq_cst);
    thread.m_priority.store(priority, std::memory_order_seq_cst);
    arch::disable_preemption();
    bool enabled = arch::disable_interrupts();
    u32 cpu = thread.m_cpu.load(std::memory_order_relaxed);
    if (RunQueue* queue = lock_queue_of(thread)) {
        cpu = queue->cpu->id;
        queue->remove(thread);
        queue->push(thread, false);
        queue->lock.unlock();
    }
    request_reschedule(cpu);
    if (enabled)
        arch::enable_interrupts();
    arch::enable_preemption();
}

Result<> Scheduler::set_affinity(Thread& thread, CpuMask mask) NO_THREAD_SAFETY_ANALYSIS
{
    if ((mask & s_online.load(std::memory_order_relaxed)) == 0)
        return Errno::EINVAL;
    // Whoever puts it into a queue looks at this afterwards.
    thread.m_affinity.store(mask, std::memory_order_seq_cst);
    arch::disable_preemption();
    bool enabled = arch::disable_interrupts();
    RunQueue* queue = lock_queue_of(thread);
    bool may_stay = !queue || (mask >> queue->cpu->id & 1) != 0;
    if (!may_stay)
        queue->remove(thread);
    if (queue)
        queue->lock.unlock();
    if (!may_stay)
        enqueue(thread, false);
    u32 cpu = thread.m_cpu.load(std::memory_order_relaxed);
    if (enabled)
        arch::enable_interrupts();
    arch::enable_preemption();
    if (queue || (mask >> cpu & 1) != 0)
        return {};
    // It may be running on that processor, and has to leave it; there may be nothing else to run there, and no thread
    // to wait in. So the processor gets one, that also looks whether it was put into the queue meanwhile.
    auto placeholder = TRY(create(
        "move",
        [](void*) {
            arch::disable_preemption();
            move_misplaced(this_queue());
            arch::enable_preemption();
        },
        nullptr));
    placeholder->m_affinity.store(CpuMask { 1 } << cpu, std::memory_order_relaxed);
    placeholder->m_cpu.store(cpu, std::memory_order_relaxed);
    arch::disable_preemption();
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
