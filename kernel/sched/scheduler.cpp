// Switching: who gives up the processor, and who gets it. Sleeping and waking are in wake.cpp.
#include "sched/scheduler.h"

#include "sched/run_queue.h"
#include <algorithm>
#include <bit>

namespace eremite {

constinit std::atomic<void (*)(u32)> Scheduler::s_send_reschedule { nullptr };
constinit std::atomic<CpuMask> Scheduler::s_online { 0 };
constinit std::atomic<CpuMask> Scheduler::s_idle { 0 };

namespace {

constinit std::array<RunQueue*, arch::k_max_cpus> s_queues {};
// The boot processor's, for there may be no other.
constinit RunQueue s_boot_queue;

} // namespace

RunQueue& Scheduler::queue_of(u32 cpu)
{
    ASSERT(s_queues[cpu]);
    return *s_queues[cpu];
}

void Scheduler::prepare_boot_processor()
{
    s_queues[0] = &s_boot_queue;
}

[[clang::minsize]] Result<> Scheduler::prepare_processor(u32 cpu)
{
    s_queues[cpu] = TRY(make<RunQueue>()).leak();
    return {};
}

void Scheduler::bring_online(arch::PerCpu& cpu, Thread& thread)
{
    RunQueue& queue = queue_of(cpu.id);
    queue.cpu = &cpu;
    cpu.scheduler = &queue;
    cpu.current = &thread;
    cpu.kernel_stack_top = thread.m_stack_top;
    cpu.kernel_stack_bottom = thread.m_kernel_stack.start.value();
    thread.m_state.store(State::Running, std::memory_order_relaxed);
    thread.m_cpu.store(cpu.id, std::memory_order_relaxed);
    thread.m_is_running.store(true, std::memory_order_relaxed);
    s_online.fetch_or(CpuMask { 1 } << cpu.id, std::memory_order_release);
}

Nanoseconds Scheduler::slice_of(const Thread& thread)
{
    // From nice 0, a level makes the share a quarter greater or smaller, roughly as on Linux; nice 19 still gets
    // something.
    i64 slice = k_time_slice.value();
    for (int nice = thread.nice(); nice > 0 && slice > 200'000; --nice)
        slice = slice * 4 / 5;
    for (int nice = thread.nice(); nice < 0 && slice < 100'000'000; ++nice)
        slice = slice * 5 / 4;
    return Nanoseconds(slice);
}

void Scheduler::account(Thread& thread, Nanoseconds now)
{
    Nanoseconds used = now - started(thread);
    thread.m_started.store(now.value(), std::memory_order_relaxed);
    thread.m_slice_left = thread.m_slice_left - used;
    // Written by its own processor alone.
    thread.m_cpu_time.store(
        thread.m_cpu_time.load(std::memory_order_relaxed) + used.value(), std::memory_order_relaxed);
}

Nanoseconds Scheduler::cpu_time(const Thread& thread)
{
    i64 time = thread.m_cpu_time.load(std::memory_order_relaxed);
    if (thread.m_is_running.load(std::memory_order_relaxed))
        time += std::max<i64>(0, (arch::now() - started(thread)).value());
    return Nanoseconds(time);
}

void Scheduler::leave(Leave leave)
{
    ER_NEEDS(switching);
    bool enabled = arch::disable_interrupts();
    arch::PerCpu& cpu = arch::this_cpu();
    ASSERT(cpu.preempt_count == 0);
    cpu.preempt_count = 1;
    Thread* ended = switch_away(leave);
    arch::this_cpu().preempt_count = 0;
    if (ended) {
        // Freeing takes locks that want interrupts on.
        arch::enable_interrupts();
        ER_PART(threads).forget(*ended);
        arch::disable_interrupts();
    }
    if (enabled)
        arch::enable_interrupts();
}

// Whether a thread that is asked to make room goes on nevertheless.
bool Scheduler::stays(RunQueue& queue, const Thread& thread, Leave leave)
{
    u8 priority = thread.priority();
    if (priority != 0) {
        bool gives_way
            = leave == Leave::Yield || (thread.policy() == SchedulingPolicy::RoundRobin && has_used_slice(thread));
        return !queue.has_realtime(gives_way ? priority : priority + 1);
    }
    return leave == Leave::Preempt && !has_used_slice(thread) && !queue.has_realtime(1) && !queue.preempt_fair;
}

Thread* Scheduler::switch_away(Leave leave)
{
    arch::PerCpu& cpu = arch::this_cpu();
    RunQueue& queue = *static_cast<RunQueue*>(cpu.scheduler);
    Thread& previous = *cpu.current;
    account(previous, arch::now());
    queue.lock.lock();
    cpu.pending.fetch_and(~arch::k_pending_reschedule, std::memory_order_relaxed);

    Thread* next = nullptr;
    if (leave == Leave::Block || leave == Leave::Exit) {
        State expected = State::Preparing;
        if (leave == Leave::Exit)
            previous.m_state.store(State::Dead, std::memory_order_relaxed);
        else if (!previous.m_state.compare_exchange_strong(expected, State::Switching))
            next = &previous; // woken before it slept
        else
            previous.m_voluntary_switches.fetch_add(1, std::memory_order_relaxed);
        if (!next)
            next = queue.pop_for(cpu.id);
        if (!next)
            next = wait_for_work(queue, previous);
    } else if (!may_run_on(previous, cpu.id)) {
        // set_affinity() has put a thread here that takes over. finish_switch() finds it woken and takes it elsewhere.
        next = queue.pop_for(cpu.id);
        if (next)
            previous.m_state.store(State::Woken, std::memory_order_relaxed);
    } else if (!stays(queue, previous, leave) && (next = queue.pop_for(cpu.id)) != nullptr) {
        // Who is interrupted before its time goes on where it was; who gives up or has used its slice goes last.
        bool used = leave == Leave::Yield || has_used_slice(previous);
        if (used)
            previous.m_slice_left = slice_of(previous);
        queue.push(previous, !used);
        previous.m_involuntary_switches.fetch_add(leave == Leave::Preempt, std::memory_order_relaxed);
    }
    queue.preempt_fair = false;

    if (!next || next == &previous) {
        if (has_used_slice(previous))
            previous.m_slice_left = slice_of(previous);
        program_timer(queue);
        queue.lock.unlock();
        return nullptr;
    }
    return ER_PART(threads).switch_to(queue, previous, *next);
}

// Nothing to run: waits in the context of `previous`, which may be woken meanwhile (then it is what to run).
Thread* Scheduler::wait_for_work(RunQueue& queue, Thread& previous)
{
    arch::PerCpu& cpu = arch::this_cpu();
    const CpuMask self = CpuMask { 1 } << cpu.id;
    Thread* next = nullptr;
    previous.m_is_running.store(false, std::memory_order_relaxed);
    while (true) {
        s_idle.fetch_or(self, std::memory_order_seq_cst);
        State expected = State::Woken;
        if (previous.m_state.compare_exchange_strong(expected, State::Running))
            next = &previous;
        else if (!(next = queue.pop_for(cpu.id)))
            next = steal(cpu.id);
        if (next)
            break;
        program_timer(queue);
        queue.lock.unlock();
        arch::wait_for_interrupt();
        arch::disable_interrupts();
        queue.lock.lock();
    }
    s_idle.fetch_and(~self, std::memory_order_relaxed);
    cpu.pending.fetch_and(~arch::k_pending_reschedule, std::memory_order_relaxed);
    // What it waited isn't its own time.
    previous.m_started.store(arch::now().value(), std::memory_order_relaxed);
    next->m_is_running.store(true, std::memory_order_relaxed);
    return next;
}

// Takes a thread from the fullest of the others; only by chance, if somebody holds that queue's lock now.
Thread* Scheduler::steal(u32 cpu)
{
    CpuMask others = s_online.load(std::memory_order_acquire) & ~(CpuMask { 1 } << cpu);
    u32 most = 0;
    RunQueue* victim = nullptr;
    for (; others != 0; others &= others - 1) {
        RunQueue& queue = *s_queues[static_cast<u32>(std::countr_zero(others))];
        u32 count = queue.count.load(std::memory_order_relaxed);
        if (count > most) {
            most = count;
            victim = &queue;
        }
    }
    if (!victim || !victim->lock.try_lock())
        return nullptr;
    Thread* thread = victim->pop_for(cpu);
    victim->lock.unlock();
    return thread;
}

void Scheduler::program_timer(RunQueue& queue)
{
    Nanoseconds deadline = queue.timers.next_deadline();
    if (queue.count.load(std::memory_order_relaxed) != 0) {
        const Thread& thread = *arch::this_cpu().current;
        Nanoseconds slice_end = started(thread) + thread.m_slice_left;
        deadline = std::min({ deadline, slice_end, queue.spread_at });
    }
    // An earlier interrupt than needed does no harm, and sets the timer anew.
    if (deadline >= queue.programmed)
        return;
    queue.programmed = deadline;
    arch::set_timer(deadline);
}

void Scheduler::timer_interrupt()
{
    arch::PerCpu& cpu = arch::this_cpu();
    RunQueue& queue = *static_cast<RunQueue*>(cpu.scheduler);
    queue.programmed = Nanoseconds::max();
    Nanoseconds now = arch::now();
    queue.timers.run_expired(now);
    if (now >= queue.spread_at) {
        queue.spread_at = Nanoseconds::max();
        CpuMask idle = s_idle.load(std::memory_order_acquire) & ~(CpuMask { 1 } << cpu.id);
        if (idle != 0 && queue.count.load(std::memory_order_relaxed) != 0)
            request_reschedule(static_cast<u32>(std::countr_zero(idle)));
    }
    const Thread& thread = *cpu.current;
    bool is_over = now - started(thread) >= thread.m_slice_left;
    if (is_over && queue.count.load(std::memory_order_relaxed) != 0)
        cpu.pending.fetch_or(arch::k_pending_reschedule, std::memory_order_relaxed); // programs the timer, too
    else
        program_timer(queue);
}

void timer_interrupt()
{
    Scheduler::timer_interrupt();
}

void reschedule_if_pending()
{
    // With interrupts off the caller has more to do before it may be switched; the interrupt's exit looks again.
    if (arch::interrupts_enabled() && arch::current_thread())
        ER_PART(switching).give_way();
}

void yield()
{
    Scheduler::leave(Scheduler::Leave::Yield);
}

CpuMask online_cpus()
{
    return Scheduler::s_online.load(std::memory_order_relaxed);
}

u32 online_cpu_count()
{
    return static_cast<u32>(std::popcount(online_cpus()));
}

namespace {

void give_way()
{
    Scheduler::leave(Scheduler::Leave::Preempt);
}

} // namespace

ER_DEFINE_PART(SwitchingPart, switching, give_way)

} // namespace eremite
