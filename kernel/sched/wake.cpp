// Sleeping and waking without a lost wake-up. A thread that wants to sleep says so first (Preparing), then checks its
// condition, then gives the processor away (Switching), and is asleep (Blocked) when its context is saved. Whoever
// wakes changes the state by compare-and-exchange; only from Blocked does it also have to put the thread into a run
// queue. So nobody ever waits for a switch to finish.
#include "sched/run_queue.h"
#include "sched/signal_state.h"
#include "sched/wait_queue.h"
#include <bit>

namespace eremite {

constinit std::atomic<SignalSet> g_process_signals { 0 };

void Scheduler::prepare(Thread& thread, Interruptible interruptible)
{
    thread.m_interruptible.store(interruptible == Interruptible::Yes, std::memory_order_relaxed);
    thread.m_state.store(State::Preparing, std::memory_order_relaxed);
    // Against wake(): what the caller checks from here on, a waker has changed, or it sees the state.
    std::atomic_thread_fence(std::memory_order_seq_cst);
}

void Scheduler::cancel(Thread& thread)
{
    thread.m_state.store(State::Running, std::memory_order_relaxed);
}

bool Scheduler::is_interrupted(Thread& thread)
{
    const SignalState& signals = thread.m_signals;
    SignalSet pending = signals.pending.load(std::memory_order_relaxed);
    if (thread.m_is_application)
        pending |= g_process_signals.load(std::memory_order_relaxed);
    return (pending & ~(signals.mask & ~signals.waiting_for.load(std::memory_order_relaxed))) != 0;
}

Result<> Scheduler::block(Thread& thread, Nanoseconds deadline)
{
    ER_NEEDS(futexes); // who sleeps for other reasons can sleep for a futex, too
    if (thread.m_interruptible) {
        bool cancelled = thread.m_signals.interrupt_next_wait.load(std::memory_order_relaxed)
            && thread.m_signals.interrupt_next_wait.exchange(false);
        if (cancelled || is_interrupted(thread)) {
            cancel(thread);
            thread.m_restart.suppressed = cancelled;
            return Errno::EINTR;
        }
    }
    if (deadline == Nanoseconds::max()) {
        leave(Leave::Block);
    } else {
        Timer timer([](Timer& self) { Scheduler::wake(*static_cast<Thread*>(self.context())); }, &thread);
        timer.arm(deadline);
        leave(Leave::Block);
        timer.cancel();
    }
    if (thread.m_interruptible && is_interrupted(thread)) {
        // Who sent the signal told the processor that the thread was on then, if any.
        arch::disable_preemption();
        arch::this_cpu().pending.fetch_or(arch::k_pending_signal, std::memory_order_relaxed);
        arch::enable_preemption();
        return Errno::EINTR;
    }
    if (deadline != Nanoseconds::max() && arch::now() >= deadline)
        return Errno::ETIMEDOUT;
    return {};
}

void Scheduler::wake(Thread& thread)
{
    // Against the store of Preparing: either the sleeper sees what it waits for, or we see it prepare.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    State state = thread.m_state.load(std::memory_order_relaxed);
    while (true) {
        switch (state) {
        case State::Running:
        case State::Woken:
        case State::Dead:
            return;
        case State::Preparing:
            if (thread.m_state.compare_exchange_weak(state, State::Running))
                return;
            break;
        case State::Switching: {
            // Its processor may be waiting for work in its context.
            u32 cpu = thread.m_cpu.load(std::memory_order_relaxed);
            if (thread.m_state.compare_exchange_weak(state, State::Woken)) {
                request_reschedule(cpu);
                return;
            }
            break;
        }
        case State::Blocked:
            if (thread.m_state.compare_exchange_weak(state, State::Running)) {
                arch::disable_preemption();
                enqueue(thread, true);
                arch::enable_preemption();
                return;
            }
            break;
        }
    }
}

void Scheduler::request_reschedule(u32 cpu)
{
    ER_NEEDS(switching);
    queue_of(cpu).cpu->pending.fetch_or(arch::k_pending_reschedule, std::memory_order_relaxed);
    if (auto* send = s_send_reschedule.load(std::memory_order_relaxed); send && cpu != arch::this_cpu().id)
        send(cpu);
}

void Scheduler::notify_signal(Thread& thread)
{
    ER_NEEDS(futexes);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (thread.m_interruptible)
        wake(thread);
    // If it runs, its processor looks at the signal when it leaves the kernel or is interrupted. If it has left the
    // processor meanwhile, that one looks in vain.
    arch::disable_preemption();
    u32 cpu = thread.m_cpu.load(std::memory_order_relaxed);
    if (thread.m_is_running.load(std::memory_order_relaxed)) {
        queue_of(cpu).cpu->pending.fetch_or(arch::k_pending_signal, std::memory_order_relaxed);
        if (auto* send = s_send_reschedule.load(std::memory_order_relaxed); send && cpu != arch::this_cpu().id)
            send(cpu);
    }
    arch::enable_preemption();
}

void prepare_to_block(Interruptible interruptible)
{
    Scheduler::prepare(current(), interruptible);
}

void cancel_block()
{
    Scheduler::cancel(current());
}

Result<> block(Nanoseconds deadline)
{
    return Scheduler::block(current(), deadline);
}

void wake_thread(Thread& thread)
{
    Scheduler::wake(thread);
}

Result<> sleep_until(Nanoseconds deadline, Interruptible interruptible)
{
    while (arch::now() < deadline) {
        prepare_to_block(interruptible);
        Result<> result = block(deadline);
        if (result.is_error() && result.error() == Errno::EINTR)
            return Errno::EINTR;
    }
    return {};
}

} // namespace eremite
