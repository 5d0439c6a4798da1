// Inside the scheduler: what each processor keeps, and the steps of a switch. For sched/ alone.
#pragma once

#include "arch/clock.h"
#include "base/component.h"
#include "sched/scheduler.h"
#include "sched/timer.h"

namespace eremite {

/// The timers that one processor has armed, by deadline.
class TimerQueue {
public:
    constexpr TimerQueue() = default;

    /// Interrupts off.
    void insert(Timer& timer, Nanoseconds deadline, u32 cpu);
    /// Disarms it. False while it is being called back on another processor.
    bool try_remove(Timer& timer);
    /// Calls back what is due. Interrupts off, on the processor that owns the queue.
    void run_expired(Nanoseconds now);
    Nanoseconds next_deadline() const { return Nanoseconds(m_next.load(std::memory_order_relaxed)); }

private:
    static bool is_earlier(const Timer& a, const Timer& b) { return a.m_deadline < b.m_deadline; }
    void update_next() REQUIRES(m_lock);

    RawSpinLock m_lock;
    // A pairing heap: arming and cancelling, the usual fate of a timer, are a few stores.
    static Timer* merge(Timer* a, Timer* b);
    static Timer* merge_pairs(Timer* first);
    void unlink(Timer& timer) REQUIRES(m_lock);
    Timer* m_root GUARDED_BY(m_lock) { nullptr };
    Timer* m_running GUARDED_BY(m_lock) { nullptr };
    std::atomic<i64> m_next { INT64_MAX };
};

struct RunQueue;
/// What matters once there is a second thread (threads.cpp): one alone never finds another to switch to, and is never
/// asleep while its processor runs something else.
struct ThreadsPart {
    /// Returns when `previous` has the processor again: the thread that ended meanwhile, if one did.
    Thread* (*switch_to)(RunQueue& queue, Thread& previous, Thread& next);
    void (*push)(RunQueue& queue, Thread& thread, bool at_front);
    Thread* (*pop_for)(RunQueue& queue, u32 cpu);
    /// Puts a thread that isn't running into a run queue.
    void (*enqueue)(Thread& thread, bool woken);
    /// Drops the scheduler's reference to a thread that has ended.
    void (*forget)(Thread& thread);
    /// exit_current_thread(), for whoever can't be the last.
    void (*exit)();
};
ER_DECLARE_PART(ThreadsPart, threads);

/// Giving the processor away: where nothing ever sleeps or wakes anybody, nothing asks for it either (scheduler.cpp).
struct SwitchingPart {
    /// As Scheduler::leave(Leave::Preempt).
    void (*give_way)();
};
ER_DECLARE_PART(SwitchingPart, switching);

/// A processor's threads that could run, and its timers. The lock is held across a switch: whoever comes out of the
/// switch lets it go. Taken with interrupts off.
struct RunQueue {
    RawSpinLock lock;
    Thread::RunList realtime GUARDED_BY(lock); // by priority, then in order of arrival
    Thread::RunList fair GUARDED_BY(lock);
    std::atomic<u32> count { 0 }; // written under the lock
    bool preempt_fair GUARDED_BY(lock) { false }; // an interrupt woke somebody whom SCHED_OTHER makes room for
    arch::PerCpu* cpu { nullptr };
    Thread* previous { nullptr }; // who is being switched away from
    Nanoseconds programmed { Nanoseconds::max() }; // what the processor's timer is set to
    Nanoseconds spread_at { Nanoseconds::max() }; // when a waiting thread is offered to an idle processor
    TimerQueue timers;

    void push(Thread& thread, bool at_front) REQUIRES(lock) { ER_PART(threads).push(*this, thread, at_front); }
    void remove(Thread& thread) REQUIRES(lock);
    /// The first that may run on `cpu`; null if there is none.
    Thread* pop_for(u32 cpu) REQUIRES(lock)
    {
        return count.load(std::memory_order_relaxed) == 0 ? nullptr : ER_PART(threads).pop_for(*this, cpu);
    }
    bool has_realtime(unsigned minimum) REQUIRES(lock)
    {
        return !realtime.is_empty() && realtime.first()->priority() >= minimum;
    }
};

/// All of the scheduler that needs to see into a Thread.
class Scheduler {
public:
    enum class Leave : u8 { Yield, Preempt, Block, Exit };

    static RunQueue& queue_of(u32 cpu);
    static RunQueue& this_queue() { return *static_cast<RunQueue*>(arch::this_cpu().scheduler); }

    /// Gives the processor to the next thread and returns when the caller has it again. Preemption is on; interrupts
    /// are left as they are.
    static void leave(Leave leave);
    /// The first thing that a new thread does.
    static void begin(void* thread);

    static void prepare(Thread& thread, Interruptible interruptible);
    static void cancel(Thread& thread);
    static Result<> block(Thread& thread, Nanoseconds deadline);
    static void wake(Thread& thread);
    /// A signal is pending for `thread`: ends its wait if that is interruptible, or has it look if it runs.
    static void notify_signal(Thread& thread);
    /// Whether a signal or a cancellation ends an interruptible wait now.
    static bool is_interrupted(Thread& thread);

    static void timer_interrupt();
    /// Sets the processor's timer if what is due next is earlier than what it is set to. Interrupts off.
    static void program_timer(RunQueue& queue);

    static void adopt_boot_thread(VirtualRange stack);
    /// Makes a run queue for processor `cpu`, not the boot processor, which isn't running yet. ENOMEM.
    static Result<> prepare_processor(u32 cpu);
    static void prepare_boot_processor();
    /// On the processor itself: from now on it runs threads, as the first of them `thread`.
    static void bring_online(arch::PerCpu& cpu, Thread& thread);

    static Result<RefPtr<Thread>> create(std::string_view name, Thread::Entry entry, void* argument);
    static void set_argument(Thread& thread, void* argument) { thread.m_argument = argument; }
    static void start(Thread& thread);
    /// From now on `thread` counts as one of the application's.
    static void make_application(Thread& thread, u64 thread_pointer);
    /// It is about to end; returns how many of the application's are left.
    static u32 end_application(Thread& thread);
    static void inherit(Thread& thread, const Thread& parent);
    static void set_scheduling(Thread& thread, SchedulingPolicy policy, u8 priority);
    static Result<> set_affinity(Thread& thread, CpuMask mask);
    static Nanoseconds cpu_time(const Thread& thread);

    /// How another processor is told to look at its `pending`; set when more than one runs.
    static std::atomic<void (*)(u32)> s_send_reschedule;
    static std::atomic<CpuMask> s_online;
    static std::atomic<CpuMask> s_idle;

private:
    friend struct Threads;
    using State = Thread::State;
    /// How long a thread waits for the processor of who woke it before an idle one takes it.
    static constexpr Nanoseconds k_spread_delay = Nanoseconds::from_microseconds(200);

    static Thread* switch_away(Leave leave) NO_THREAD_SAFETY_ANALYSIS;
    static Thread* finish_switch() NO_THREAD_SAFETY_ANALYSIS;
    static Thread* wait_for_work(RunQueue& queue, Thread& previous) REQUIRES(queue.lock);
    static bool stays(RunQueue& queue, const Thread& thread, Leave leave) REQUIRES(queue.lock);
    static Thread* steal(u32 cpu) NO_THREAD_SAFETY_ANALYSIS;
    static void enqueue(Thread& thread, bool woken) { ER_PART(threads).enqueue(thread, woken); }
    static void account(Thread& thread, Nanoseconds now);
    static u32 choose_cpu(const Thread& thread);
    static void request_reschedule(u32 cpu);
    /// The queue that the thread waits in, locked; null: it waits in none. Interrupts off.
    static RunQueue* lock_queue_of(const Thread& thread) NO_THREAD_SAFETY_ANALYSIS;
    /// Takes out of a queue who may not run on its processor any more, and puts them where they may. Preemption off.
    static void move_misplaced(RunQueue& queue) NO_THREAD_SAFETY_ANALYSIS;
    static Nanoseconds slice_of(const Thread& thread);
    static Nanoseconds started(const Thread& thread)
    {
        return Nanoseconds(thread.m_started.load(std::memory_order_relaxed));
    }
    static bool may_run_on(const Thread& thread, u32 cpu) { return (thread.affinity() >> cpu & 1) != 0; }
    static bool has_used_slice(const Thread& thread) { return thread.m_slice_left <= Nanoseconds(0); }
};

} // namespace eremite
