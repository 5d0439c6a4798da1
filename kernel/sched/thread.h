// A thread: its stacks, what the processor keeps for it while it doesn't run, and its place in the scheduler. Those of
// the application and those of the kernel's own differ in that the latter never leave the kernel.
#pragma once

#include "arch/context.h"
#include "arch/cpu.h"
#include "base/chain.h"
#include "base/owned.h"
#include "base/types.h"
#include "sched/signal_state.h"
#include "sched/wait_queue.h"
#include "sync/spin_lock.h"
#include <array>
#include <atomic>
#include <string_view>

namespace eremite {

enum class SchedulingPolicy : u8 { Other = 0, Fifo = 1, RoundRobin = 2, Batch = 3, Idle = 5 };

/// Set of processors, a bit each.
using CpuMask = u64;
inline constexpr CpuMask k_all_cpus = ~CpuMask { 0 };

/// Reference-counted; the scheduler holds a reference while the thread lives, ThreadTable::find() gives another.
class Thread final : public RefCounted<Thread> {
public:
    using Entry = void (*)(void*);
    static constexpr usize k_name_length = 15;

    /// A thread of the kernel's own, made runnable; ends when `entry` returns. ENOMEM.
    static Result<RefPtr<Thread>> create_kernel(std::string_view name, Entry entry, void* argument);
    /// A thread that isn't runnable yet, starting at `entry(argument)` on its kernel stack: start() does the rest.
    /// ENOMEM.
    static Result<RefPtr<Thread>> create(std::string_view name, Entry entry, void* argument);
    /// Makes it runnable for the first time.
    void start();

    ~Thread();

    i32 tid() const { return m_tid; }
    std::string_view name() const;
    /// Cut to k_name_length.
    void set_name(std::string_view name);
    bool is_application() const { return m_is_application; }
    u64 stack_top() const { return m_stack_top; }
    VirtualRange kernel_stack() const { return m_kernel_stack; }
    /// Time on a processor so far. Any thread.
    Nanoseconds cpu_time() const;

    SignalState& signals() { return m_signals; }

    /// What a system call that EINTR ended was called with, for SA_RESTART. Only the thread itself.
    struct Restart {
        bool valid { false };
        bool suppressed { false }; // the cancellation signal wants to see EINTR
        std::array<u64, 6> arguments {};
    };
    Restart& restart() { return m_restart; }

    /// Linux's per-thread registrations; the thread itself.
    struct ExitActions {
        u64 clear_child_tid { 0 };
        u64 robust_list { 0 };
        u64 unmap_start { 0 };
        u64 unmap_length { 0 };
    };
    ExitActions& exit_actions() { return m_exit_actions; }
    /// Where a thread of the application begins: entry, stack pointer, argument.
    std::array<u64, 3>& beginning() { return m_beginning; }

    /// Voluntary and involuntary switches; statistics.
    u64 voluntary_switches() const { return m_voluntary_switches.load(std::memory_order_relaxed); }
    u64 involuntary_switches() const { return m_involuntary_switches.load(std::memory_order_relaxed); }

    SchedulingPolicy policy() const { return m_policy.load(std::memory_order_relaxed); }
    u8 priority() const { return m_priority.load(std::memory_order_relaxed); }
    i8 nice() const { return m_nice.load(std::memory_order_relaxed); }
    /// Takes effect when it next becomes runnable or is switched.
    void set_nice(i8 nice) { m_nice.store(nice, std::memory_order_relaxed); }
    CpuMask affinity() const { return m_affinity.load(std::memory_order_relaxed); }

    /// While a value above 0, what was interrupted may use vector registers: a switch saves them too. Only the thread.
    void enter_exception() { ++m_live_vectors; }
    void leave_exception() { --m_live_vectors; }
    bool is_in_exception() const { return m_live_vectors != 0; }

private:
    friend class Scheduler;
    friend class ThreadTable;
    friend struct Threads;
    friend struct RunQueue;
    template<typename T, typename... Arguments> friend Result<RefPtr<T>> make_ref(Arguments&&...);
    Thread() = default;

    /// Where it stands between running and sleeping; see wait_queue.cpp.
    enum class State : u32 {
        Running, // on a processor or in a run queue
        Preparing, // still running, on wait queues, about to sleep
        Switching, // gave the processor away, its context isn't saved yet
        Woken, // like Switching, but already to be run again
        Blocked, // asleep: whoever makes it Running puts it into a run queue
        Dead,
    };

    arch::Context m_context;
    std::atomic<State> m_state { State::Blocked };
    std::atomic<u32> m_cpu { 0 }; // where it runs, or ran last
    u64 m_thread_pointer { 0 };
    VirtualRange m_kernel_stack;
    u64 m_stack_top { 0 }; // below the vector area
    void* m_vector_area { nullptr };
    bool m_vector_area_is_initialized { false };
    u32 m_live_vectors { 0 };
    bool m_is_application { false };
    std::atomic<bool> m_interruptible { false };
    static constexpr u32 k_no_queue = ~u32 { 0 };
    std::atomic<u32> m_queue_cpu { k_no_queue }; // whose run queue it is in; written under its lock
    bool m_queued_realtime { false }; // which list of the run queue it is in; under its lock

    std::atomic<SchedulingPolicy> m_policy { SchedulingPolicy::Other };
    std::atomic<u8> m_priority { 0 };
    std::atomic<i8> m_nice { 0 };
    std::atomic<CpuMask> m_affinity { k_all_cpus };
    Nanoseconds m_slice_left {};
    std::atomic<i64> m_started { 0 }; // when it got the processor; written by that alone
    std::atomic<i64> m_cpu_time { 0 };
    std::atomic<bool> m_is_running { false };
    std::atomic<u64> m_voluntary_switches { 0 };
    std::atomic<u64> m_involuntary_switches { 0 };

    i32 m_tid { 0 };
    Entry m_entry { nullptr };
    void* m_argument { nullptr };
    std::array<char, k_name_length + 1> m_name {};
    SignalState m_signals;
    Restart m_restart;
    ExitActions m_exit_actions;
    std::array<u64, 3> m_beginning {};

    ChainHook<Thread> m_queue_hook; // run queue
    ChainHook<Thread> m_table_hook; // ThreadTable

public:
    using RunList = Chain<Thread, &Thread::m_queue_hook>;
    using TableList = Chain<Thread, &Thread::m_table_hook>;
};

/// The running thread; exists from initialize_scheduler() on.
inline Thread& current()
{
    return *arch::current_thread();
}

/// All threads by number, those of the kernel included.
class ThreadTable {
public:
    /// Null if there is none (any more).
    static RefPtr<Thread> find(i32 tid);
    /// Calls `visit` for each thread of the application under the table's lock, until it returns false.
    template<typename Visit> static void for_each_application_thread(Visit visit);
    static u32 application_thread_count() { return s_application_count.load(std::memory_order_relaxed); }

    /// Gives it a number and lists it.
    static void add(Thread& thread);
    /// The destructor does.
    static void remove(Thread& thread);

private:
    friend class Scheduler;
    static constexpr usize k_buckets = 64;
    static InterruptSpinLock s_lock; // signals are sent from interrupts
    static std::array<Thread::TableList, k_buckets> s_buckets;
    static std::atomic<u32> s_application_count;
};

template<typename Visit> void ThreadTable::for_each_application_thread(Visit visit)
{
    Locked lock(s_lock);
    for (const auto& bucket : s_buckets) {
        for (Thread& thread : bucket) {
            if (thread.is_application() && !visit(thread))
                return;
        }
    }
}

} // namespace eremite
