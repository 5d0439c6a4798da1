// What matters once there is a second thread: making it, taking turns with it, its end. An image that never makes one
// holds none of this.
#include "mm/kernel_stack.h"
#include "sched/run_queue.h"
#include "sched/scheduler.h"
#include <algorithm>
#include <bit>

namespace eremite {

namespace {

bool is_realtime(SchedulingPolicy policy)
{
    return policy == SchedulingPolicy::Fifo || policy == SchedulingPolicy::RoundRobin;
}

} // namespace

struct Threads {
    using State = Thread::State;
    static Thread* switch_to(RunQueue& queue, Thread& previous, Thread& next) NO_THREAD_SAFETY_ANALYSIS;
    static void push(RunQueue& queue, Thread& thread, bool at_front) REQUIRES(queue.lock);
    static Thread* pop_for(RunQueue& queue, u32 cpu) REQUIRES(queue.lock);
    /// Takes out the first whose being allowed to run on `cpu` is as `allowed` says; null if there is none.
    static Thread* pop_by_affinity(RunQueue& queue, u32 cpu, bool allowed) REQUIRES(queue.lock);
    static void enqueue(Thread& thread, bool woken);
    static void forget(Thread& thread) { thread.unref(); }
};

// --- Beginning and end

void ThreadTable::remove(Thread& thread)
{
    Locked lock(s_lock);
    s_buckets[static_cast<usize>(thread.m_tid) % k_buckets].remove(thread);
}

Result<RefPtr<Thread>> Scheduler::create(std::string_view name, Thread::Entry entry, void* argument)
{
    ER_NEEDS(threads);
    ER_NEEDS(contended_mutex);
    auto thread = TRY(make_ref<Thread>());
    thread->m_kernel_stack = TRY(allocate_kernel_stack());
    // The vector area has the top of the stack; it is written when the thread is preempted for the first time.
    u64 area = align_down(thread->m_kernel_stack.end().value() - arch::vector_state_size(), 64);
    thread->m_vector_area = reinterpret_cast<void*>(area);
    thread->m_stack_top = area;
    thread->m_entry = entry;
    thread->m_argument = argument;
    thread->set_name(name);
    thread->m_cpu.store(arch::this_cpu().id, std::memory_order_relaxed);
    arch::prepare_context(thread->m_context, thread->m_stack_top, Scheduler::begin, thread.get());
    ThreadTable::add(*thread);
    return thread;
}

Thread::~Thread()
{
    if (m_tid != 0)
        ThreadTable::remove(*this);
    if (m_kernel_stack.length != 0)
        free_kernel_stack(m_kernel_stack);
}

Result<RefPtr<Thread>> Thread::create(std::string_view name, Entry entry, void* argument)
{
    return Scheduler::create(name, entry, argument);
}

Result<RefPtr<Thread>> Thread::create_kernel(std::string_view name, Entry entry, void* argument)
{
    auto thread = TRY(Scheduler::create(name, entry, argument));
    thread->start();
    return thread;
}

void Scheduler::start(Thread& thread)
{
    thread.ref(); // the scheduler's, which finish_switch() hands on when the thread has ended
    wake(thread);
}

void Thread::start()
{
    Scheduler::start(*this);
}

void Scheduler::begin(void* argument)
{
    Thread& self = *static_cast<Thread*>(argument);
    Thread* ended = finish_switch();
    arch::this_cpu().preempt_count = 0;
    arch::enable_interrupts();
    if (ended)
        ended->unref();
    self.m_entry(self.m_argument);
    exit_current_thread();
}

// --- Waiting for a turn

void Threads::push(RunQueue& queue, Thread& thread, bool at_front)
{
    queue.count.fetch_add(1, std::memory_order_relaxed);
    // Before its policy is read: who changes that looks at this after it (set_scheduling()).
    thread.m_queue_cpu.store(queue.cpu->id, std::memory_order_seq_cst);
    thread.m_queued_realtime = is_realtime(thread.m_policy.load(std::memory_order_seq_cst));
    if (!thread.m_queued_realtime) {
        if (at_front)
            queue.fair.push_front(thread);
        else
            queue.fair.push_back(thread);
        return;
    }
    for (Thread& other : queue.realtime) {
        if (other.priority() < thread.priority() || (at_front && other.priority() == thread.priority())) {
            queue.realtime.insert_before(other, thread);
            return;
        }
    }
    queue.realtime.push_back(thread);
}

inline Thread* Threads::pop_by_affinity(RunQueue& queue, u32 cpu, bool allowed)
{
    for (Thread::RunList* list : { &queue.realtime, &queue.fair }) {
        for (Thread& thread : *list) {
            if (Scheduler::may_run_on(thread, cpu) == allowed) {
                queue.remove(thread);
                return &thread;
            }
        }
    }
    return nullptr;
}

Thread* Threads::pop_for(RunQueue& queue, u32 cpu)
{
    return pop_by_affinity(queue, cpu, true);
}

u32 Scheduler::choose_cpu(const Thread& thread)
{
    const CpuMask online = s_online.load(std::memory_order_acquire);
    CpuMask allowed = thread.affinity() & online;
    if (allowed == 0)
        allowed = online;
    u32 last = thread.m_cpu.load(std::memory_order_relaxed);
    // Whoever wakes is often about to wait: then its processor is the nearest, and has the data in its cache. If it
    // goes on instead, an idle one comes and takes the thread (timer_interrupt()).
    const arch::PerCpu& here = arch::this_cpu();
    if (here.interrupt_depth == 0 && (allowed >> here.id & 1) != 0
        && this_queue().count.load(std::memory_order_relaxed) == 0)
        return here.id;
    CpuMask idle = s_idle.load(std::memory_order_acquire) & allowed;
    if (idle != 0) {
        u32 cpu = (idle >> last & 1) != 0 ? last : static_cast<u32>(std::countr_zero(idle));
        s_idle.fetch_and(~(CpuMask { 1 } << cpu), std::memory_order_relaxed); // the next one goes elsewhere
        return cpu;
    }
    return (allowed >> last & 1) != 0 ? last : static_cast<u32>(std::countr_zero(allowed));
}

void Threads::enqueue(Thread& thread, bool woken)
{
    bool enabled = arch::disable_interrupts();
    bool is_fresh = woken && !Scheduler::has_used_slice(thread);
    if (!is_fresh)
        thread.m_slice_left = Scheduler::slice_of(thread);
    u32 cpu = Scheduler::choose_cpu(thread);
    RunQueue& queue = Scheduler::queue_of(cpu);
    queue.lock.lock();
    // Who slept comes first as long as it has used less than its share. A wake-up by an interrupt is news from outside:
    // it doesn't wait for the running slice to end.
    bool preempts = thread.priority() != 0;
    if (is_fresh && arch::this_cpu().interrupt_depth != 0)
        preempts = queue.preempt_fair = true;
    bool was_empty = queue.count.load(std::memory_order_relaxed) == 0;
    queue.push(thread, is_fresh && thread.priority() == 0);
    // Whoever has changed that since has not found it in a queue (set_affinity()).
    bool may_stay = (thread.m_affinity.load(std::memory_order_seq_cst) >> cpu & 1) != 0;
    queue.lock.unlock();
    if (!may_stay) [[unlikely]]
        Scheduler::move_misplaced(queue);
    bool is_remote = cpu != arch::this_cpu().id;
    if (preempts || (is_remote && was_empty)) {
        Scheduler::request_reschedule(cpu);
    } else if (was_empty) {
        if (Scheduler::s_idle.load(std::memory_order_relaxed) != 0)
            queue.spread_at = arch::now() + Scheduler::k_spread_delay;
        Scheduler::program_timer(queue);
    }
    if (enabled)
        arch::enable_interrupts();
}

void Scheduler::move_misplaced(RunQueue& queue)
{
    bool enabled = arch::disable_interrupts();
    while (true) {
        queue.lock.lock();
        Thread* thread = Threads::pop_by_affinity(queue, queue.cpu->id, false);
        queue.lock.unlock();
        if (!thread)
            break;
        enqueue(*thread, false);
    }
    if (enabled)
        arch::enable_interrupts();
}

// --- The switch

Thread* Threads::switch_to(RunQueue& queue, Thread& previous, Thread& next)
{
    arch::PerCpu& cpu = arch::this_cpu();
    queue.previous = &previous;
    next.m_started.store(previous.m_started.load(std::memory_order_relaxed), std::memory_order_relaxed);
    next.m_cpu.store(cpu.id, std::memory_order_relaxed);
    previous.m_is_running.store(false, std::memory_order_relaxed);
    next.m_is_running.store(true, std::memory_order_relaxed);
    if (Scheduler::has_used_slice(next))
        next.m_slice_left = Scheduler::slice_of(next);
    cpu.current = &next;
    cpu.kernel_stack_top = next.m_stack_top;
    cpu.kernel_stack_bottom = next.m_kernel_stack.start.value();
    u32 signals = Scheduler::is_interrupted(next) ? arch::k_pending_signal : 0;
    if (signals != (cpu.pending.load(std::memory_order_relaxed) & arch::k_pending_signal))
        cpu.pending.fetch_xor(arch::k_pending_signal, std::memory_order_relaxed);
    Scheduler::program_timer(queue);

    const bool save_vectors = previous.is_in_exception();
    if (save_vectors) {
        // Saving leaves out what is in its initial state, and reserved fields that restoring checks.
        if (!std::exchange(previous.m_vector_area_is_initialized, true))
            arch::initialize_vector_state(previous.m_vector_area);
        arch::save_vector_state(previous.m_vector_area);
    }
    previous.m_thread_pointer = arch::thread_pointer();
    arch::set_thread_pointer(next.m_thread_pointer);
    arch::switch_context(previous.m_context, next.m_context);
    if (save_vectors)
        arch::restore_vector_state(previous.m_vector_area);
    return Scheduler::finish_switch();
}

// On the new thread's stack: the thread that was switched away from is saved now, others may have it.
Thread* Scheduler::finish_switch()
{
    RunQueue& queue = this_queue();
    Thread& previous = *std::exchange(queue.previous, nullptr);
    State state = previous.m_state.load(std::memory_order_acquire);
    queue.lock.unlock();
    // It is in the run queue: now that the lock is free, another processor may have it, and it may have ended there.
    if (state == State::Running || state == State::Preparing)
        return nullptr;
    if (state == State::Dead)
        return &previous;
    if (state == State::Switching && previous.m_state.compare_exchange_strong(state, State::Blocked))
        return nullptr;
    previous.m_state.store(State::Running, std::memory_order_relaxed);
    enqueue(previous, true);
    return nullptr;
}

ER_DEFINE_PART(ThreadsPart, threads, Threads::switch_to, Threads::push, Threads::pop_for, Threads::enqueue,
    Threads::forget, exit_current_thread)

} // namespace eremite
