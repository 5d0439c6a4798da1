#include "sched/thread.h"

#include "mm/kernel_stack.h"
#include "sched/run_queue.h"
#include "sched/scheduler.h"
#include <algorithm>
#include <span>

namespace eremite {

constinit InterruptSpinLock ThreadTable::s_lock;
constinit std::array<Thread::TableList, ThreadTable::k_buckets> ThreadTable::s_buckets {};
constinit std::atomic<u32> ThreadTable::s_application_count { 0 };

namespace {

constinit std::atomic<i32> s_next_tid { 1 };

} // namespace

// --- Table

void ThreadTable::add(Thread& thread)
{
    // Numbers aren't used again: it would take 2^30 threads.
    thread.m_tid = s_next_tid.fetch_add(1, std::memory_order_relaxed);
    Locked lock(s_lock);
    s_buckets[static_cast<usize>(thread.m_tid) % k_buckets].push_back(thread);
}

RefPtr<Thread> ThreadTable::find(i32 tid)
{
    Locked lock(s_lock);
    for (Thread& thread : s_buckets[static_cast<usize>(tid) % k_buckets]) {
        if (thread.m_tid == tid && thread.try_ref())
            return RefPtr<Thread>::adopt(&thread);
    }
    return nullptr;
}

// --- Thread

void Scheduler::make_application(Thread& thread, u64 thread_pointer)
{
    thread.m_is_application = true;
    thread.m_thread_pointer = thread_pointer;
    ThreadTable::s_application_count.fetch_add(1, std::memory_order_relaxed);
}

namespace {

constinit std::atomic<i64> s_ended_cpu_time { 0 };

} // namespace

u32 Scheduler::end_application(Thread& thread)
{
    s_ended_cpu_time.fetch_add(cpu_time(thread).value(), std::memory_order_relaxed);
    thread.m_is_application = false;
    return ThreadTable::s_application_count.fetch_sub(1, std::memory_order_relaxed) - 1;
}

Nanoseconds process_cpu_time()
{
    Nanoseconds total(s_ended_cpu_time.load(std::memory_order_relaxed));
    ThreadTable::for_each_application_thread([&](Thread& thread) {
        total = total + thread.cpu_time();
        return true;
    });
    return total;
}

void Scheduler::inherit(Thread& thread, const Thread& parent)
{
    thread.m_policy.store(parent.policy(), std::memory_order_relaxed);
    thread.m_priority.store(parent.priority(), std::memory_order_relaxed);
    thread.m_nice.store(parent.nice(), std::memory_order_relaxed);
    thread.m_affinity.store(parent.affinity(), std::memory_order_relaxed);
    thread.m_name = parent.m_name;
    thread.m_signals.mask = parent.m_signals.mask;
}

std::string_view Thread::name() const
{
    std::string_view all(m_name.data(), m_name.size());
    return all.substr(0, all.find('\0'));
}

void Thread::set_name(std::string_view name)
{
    m_name = {};
    std::ranges::copy(name.substr(0, k_name_length), m_name.begin());
}

Nanoseconds Thread::cpu_time() const
{
    return Scheduler::cpu_time(*this);
}

void remember_interrupted_call(std::span<const u64> arguments)
{
    Thread::Restart& restart = current().restart();
    restart.valid = !std::exchange(restart.suppressed, false);
    std::ranges::copy(arguments, restart.arguments.begin());
    // Whatever became of the signal, the exit of the call has to decide.
    arch::disable_preemption();
    arch::this_cpu().pending.fetch_or(arch::k_pending_signal, std::memory_order_relaxed);
    arch::enable_preemption();
}

// --- The first thread

namespace {

alignas(Thread) constinit std::array<u8, sizeof(Thread)> s_boot_thread {};

} // namespace

[[clang::minsize]] void Scheduler::adopt_boot_thread(VirtualRange stack)
{
    auto* thread = ::new (static_cast<void*>(s_boot_thread.data())) Thread;
    thread->m_kernel_stack = stack;
    thread->m_stack_top = stack.end().value();
    // Not on the stack, as the other threads': its top is in use.
    thread->m_vector_area = kmalloc(arch::vector_state_size(), 64);
    ASSERT(thread->m_vector_area);
    thread->set_name("main");
    thread->ref(); // it lies in the image: never freed
    ThreadTable::add(*thread);
    bring_online(arch::this_cpu(), *thread);
}

void initialize_scheduler(VirtualRange boot_stack)
{
    Scheduler::prepare_boot_processor();
    Scheduler::adopt_boot_thread(boot_stack);
}

void start_application(u64 entry, u64 stack_pointer)
{
    Scheduler::make_application(current(), 0);
    arch::enter_application(entry, stack_pointer, 0);
}

} // namespace eremite
