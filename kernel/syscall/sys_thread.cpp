#include "syscall/sys_thread.h"

#include "arch/interrupt.h"
#include "base/component.h"
#include "sched/exit.h"
#include "sched/futex.h"
#include "sched/process.h"
#include "sched/run_queue.h"
#include "sched/signal_hooks.h"
#include "syscall/sys_memory.h"
#include "syscall/sys_process.h"
#include "syscall/thread_calls.h"
#include "syscall/time_argument.h"
#include <algorithm>
#include <bit>

namespace eremite {

constinit std::atomic<void (*)(u64, i32)> g_robust_list_exit { nullptr };

namespace {

void begin_application_thread(void* argument)
{
    auto& thread = *static_cast<Thread*>(argument);
    auto [entry, stack_pointer, parameter] = thread.beginning();
    arch::enter_application(entry, stack_pointer, parameter);
}

void end_application_thread(Thread& self)
{
    const Thread::ExitActions& actions = self.exit_actions();
    if (auto* release = g_robust_list_exit.load(std::memory_order_relaxed); release && actions.robust_list != 0)
        release(actions.robust_list, self.tid());
    if (actions.unmap_length != 0)
        static_cast<void>(sys_munmap(actions.unmap_start, actions.unmap_length));
    if (const SignalHooks* hooks = g_signal_hooks.load(std::memory_order_acquire))
        hooks->forget(self);
    u32 left = Scheduler::end_application(self);
    // From here on whoever joins may go on, and free the thread's stack.
    if (actions.clear_child_tid != 0 && UserPointer<i32>(actions.clear_child_tid).write(0).has_value())
        static_cast<void>(futex_wake(actions.clear_child_tid, 1));
    if (left == 0)
        exit_process(0);
}

RefPtr<Thread> thread_by_number(int tid)
{
    return tid == 0 ? RefPtr<Thread>(&current()) : ThreadTable::find(tid);
}

} // namespace

Result<long> sys_clone(u64, u64, UserPointer<i32>, UserPointer<i32>, u64)
{
    return sys_fork();
}

Result<long> sys_clone3(UserPointer<u8>, usize)
{
    return sys_fork();
}

Result<long> sys_clone_thread(UserPointer<CloneArguments> pointer)
{
    constexpr u64 needed
        = abi::k_clone_vm | abi::k_clone_thread | abi::k_clone_sighand | abi::k_clone_files | abi::k_clone_fs;
    CloneArguments arguments = TRY(pointer.read());
    if ((arguments.flags & needed) != needed)
        return sys_fork();
    ER_NEEDS(futexes);
    ER_NEEDS(processors); // those beside the first are started only for programs with threads
    g_application_thread_exit.store(end_application_thread, std::memory_order_relaxed);
    g_multithreaded.store(true, std::memory_order_relaxed);

    // It begins as if called by __eremite_thread_end.
    u64 stack = align_down(arguments.stack, 16) - arch::k_call_pushes;
    if constexpr (arch::k_call_pushes != 0)
        TRY(UserPointer<u64>(stack).write(reinterpret_cast<u64>(&__eremite_thread_end)));
    else
        asm volatile(".reloc ., BFD_RELOC_NONE, __eremite_thread_end"); // for enter_application, which refers weakly
    Thread& self = current();
    auto thread = TRY(Scheduler::create(self.name(), begin_application_thread, nullptr));
    Scheduler::set_argument(*thread, thread.get());
    thread->beginning() = { arguments.function, stack, arguments.argument };
    Scheduler::inherit(*thread, self);
    i32 tid = thread->tid();
    if ((arguments.flags & abi::k_clone_parent_settid) != 0)
        TRY(UserPointer<i32>(arguments.parent_tid).write(tid));
    if ((arguments.flags & abi::k_clone_child_settid) != 0)
        TRY(UserPointer<i32>(arguments.child_tid).write(tid));
    if ((arguments.flags & abi::k_clone_child_cleartid) != 0)
        thread->exit_actions().clear_child_tid = arguments.child_tid;
    bool has_tls = (arguments.flags & abi::k_clone_settls) != 0;
    Scheduler::make_application(*thread, has_tls ? arguments.tls : arch::thread_pointer());
    thread->start();
    return tid;
}

Result<long> sys_unmapself(u64 base, usize length)
{
    current().exit_actions().unmap_start = base;
    current().exit_actions().unmap_length = length;
    return sys_exit(0);
}

long sys_set_tid_address(u64 address)
{
    current().exit_actions().clear_child_tid = address;
    return current().tid();
}

long sys_gettid()
{
    return current().tid();
}

long sys_sched_yield()
{
    yield();
    return 0;
}

Result<long> sys_sched_setaffinity(int tid, u32 length, UserPointer<u8> mask)
{
    std::array<u8, sizeof(CpuMask)> bytes {};
    usize copied = std::min<usize>(length, bytes.size());
    TRY(UserSpan<u8>(mask, copied).copy_to_kernel(std::span(bytes).first(copied)));
    auto thread = thread_by_number(tid);
    if (!thread)
        return Errno::ESRCH;
    TRY(set_affinity(*thread, std::bit_cast<CpuMask>(bytes)));
    return 0;
}

Result<long> sys_sched_getaffinity(int tid, u32 length, UserPointer<u8> mask)
{
    if (length < sizeof(CpuMask) || length % sizeof(u64) != 0)
        return Errno::EINVAL;
    auto thread = thread_by_number(tid);
    if (!thread)
        return Errno::ESRCH;
    TRY(mask.as<CpuMask>().write(thread->affinity() & online_cpus()));
    return static_cast<long>(sizeof(CpuMask));
}

namespace {

Result<SchedulingPolicy> to_policy(int policy)
{
    constexpr int reset_on_fork = 0x4000'0000;
    switch (policy & ~reset_on_fork) {
    case static_cast<int>(SchedulingPolicy::Other):
    case static_cast<int>(SchedulingPolicy::Fifo):
    case static_cast<int>(SchedulingPolicy::RoundRobin):
    case static_cast<int>(SchedulingPolicy::Batch):
    case static_cast<int>(SchedulingPolicy::Idle):
        return static_cast<SchedulingPolicy>(policy & ~reset_on_fork);
    default:
        return Errno::EINVAL;
    }
}

bool is_realtime(SchedulingPolicy policy)
{
    return policy == SchedulingPolicy::Fifo || policy == SchedulingPolicy::RoundRobin;
}

Result<long> change_scheduling(Thread& thread, SchedulingPolicy policy, i32 priority)
{
    if (is_realtime(policy) ? (priority < 1 || priority > 99) : priority != 0)
        return Errno::EINVAL;
    set_scheduling(thread, policy, static_cast<u8>(priority));
    return 0;
}

} // namespace

Result<long> sys_sched_setscheduler(int tid, int policy, UserPointer<i32> priority)
{
    if (tid < 0 || priority.is_null())
        return Errno::EINVAL;
    i32 wanted = TRY(priority.read());
    auto known = TRY(to_policy(policy));
    auto thread = thread_by_number(tid);
    if (!thread)
        return Errno::ESRCH;
    return change_scheduling(*thread, known, wanted);
}

Result<long> sys_sched_getscheduler(int tid)
{
    if (tid < 0)
        return Errno::EINVAL;
    auto thread = thread_by_number(tid);
    if (!thread)
        return Errno::ESRCH;
    return static_cast<long>(thread->policy());
}

Result<long> sys_sched_setparam(int tid, UserPointer<i32> priority)
{
    if (tid < 0 || priority.is_null())
        return Errno::EINVAL;
    i32 wanted = TRY(priority.read());
    auto thread = thread_by_number(tid);
    if (!thread)
        return Errno::ESRCH;
    return change_scheduling(*thread, thread->policy(), wanted);
}

Result<long> sys_sched_getparam(int tid, UserPointer<i32> priority)
{
    if (tid < 0 || priority.is_null())
        return Errno::EINVAL;
    auto thread = thread_by_number(tid);
    if (!thread)
        return Errno::ESRCH;
    TRY(priority.write(thread->priority()));
    return 0;
}

Result<long> sys_sched_get_priority_max(int policy)
{
    return is_realtime(TRY(to_policy(policy))) ? 99 : 0;
}

Result<long> sys_sched_get_priority_min(int policy)
{
    return is_realtime(TRY(to_policy(policy))) ? 1 : 0;
}

Result<long> sys_sched_rr_get_interval(int tid, UserPointer<abi::TimeSpec> interval)
{
    if (tid < 0)
        return Errno::EINVAL;
    auto thread = thread_by_number(tid);
    if (!thread)
        return Errno::ESRCH;
    bool is_endless = thread->policy() == SchedulingPolicy::Fifo;
    TRY(interval.write(to_time_spec(is_endless ? Nanoseconds(0) : k_time_slice)));
    return 0;
}

namespace {

constexpr int k_prio_process = 0;
constexpr int k_prio_user = 2;

/// PRIO_PROCESS means a thread, on Linux too.
Result<RefPtr<Thread>> thread_for_priority(int which, int who)
{
    if (which < k_prio_process || which > k_prio_user)
        return Errno::EINVAL;
    auto thread = which == k_prio_process ? thread_by_number(who) : RefPtr<Thread>(&current());
    if (!thread)
        return Errno::ESRCH;
    return thread;
}

} // namespace

Result<long> sys_getpriority(int which, int who)
{
    auto thread = TRY(thread_for_priority(which, who));
    return 20 - thread->nice(); // the C library turns it round again
}

Result<long> sys_setpriority(int which, int who, int nice)
{
    auto thread = TRY(thread_for_priority(which, who));
    thread->set_nice(static_cast<i8>(std::clamp(nice, -20, 19)));
    return 0;
}

Result<long> sys_getcpu(UserPointer<u32> cpu, UserPointer<u32> node, u64)
{
    if (!cpu.is_null())
        TRY(cpu.write(arch::this_cpu().id));
    if (!node.is_null())
        TRY(node.write(0));
    return 0;
}

Result<long> sys_membarrier(int command, u32 flags)
{
    constexpr int query = 0;
    constexpr int global = 1 << 0;
    constexpr int global_expedited = 1 << 1;
    constexpr int register_global_expedited = 1 << 2;
    constexpr int private_expedited = 1 << 3;
    constexpr int register_private_expedited = 1 << 4;
    if (flags != 0)
        return Errno::EINVAL;
    switch (command) {
    case query:
        return global | global_expedited | register_global_expedited | private_expedited | register_private_expedited;
    case register_global_expedited:
    case register_private_expedited:
        return 0;
    case global:
    case global_expedited:
    case private_expedited: {
        std::atomic_thread_fence(std::memory_order_seq_cst);
        if (online_cpu_count() == 1)
            return 0;
        arch::disable_preemption();
        CpuMask others = online_cpus() & ~(CpuMask { 1 } << arch::this_cpu().id);
        arch::call_on_processors(others, [](void*) { std::atomic_thread_fence(std::memory_order_seq_cst); }, nullptr);
        arch::enable_preemption();
        return 0;
    }
    default:
        return Errno::EINVAL;
    }
}

} // namespace eremite
