#include "syscall/sys_futex.h"

#include "arch/clock.h"
#include "arch/cpu.h"
#include "boot/boot_info.h"
#include "sched/exit.h"
#include "sched/futex.h"
#include "syscall/hot_calls.h"
#include "syscall/time_argument.h"
#include <algorithm>

namespace eremite {

namespace {

/// Waits until `time` has passed since boot (absolute) or since now. In an image without a clock, where nobody can tell
/// what time it is, it waits for as many cycles as that takes the fastest of processors: never less than `time`.
void pass_time(Nanoseconds time, bool is_absolute)
{
    constexpr i64 most_cycles_per_nanosecond = 8;
    u64 start = is_absolute ? boot_info().entry_cycles : arch::cycle_counter();
    u64 cycles
        = static_cast<u64>(std::min(time.value(), INT64_MAX / most_cycles_per_nanosecond) * most_cycles_per_nanosecond);
    if (ER_HAS_PART(clock)) {
        Nanoseconds end = is_absolute ? time : ER_PART(clock).now() + time;
        while (ER_PART(clock).now() < end)
            arch::relax();
    } else {
        while (arch::cycle_counter() - start < cycles)
            arch::relax();
    }
}

/// One thread alone, where nothing else sleeps and no signal can come: nobody waits whom it could wake, and only the
/// deadline ends its own wait. There is no timer in such an image, and nobody else who wants the processor.
Result<long> operation_alone(u64 address, int operation, u32 value, UserPointer<abi::TimeSpec> timeout)
{
    const int kind = operation & ~abi::k_futex_private_flag;
    if (kind == abi::k_futex_wake || kind == abi::k_futex_wake_bitset)
        return 0;
    if (kind != abi::k_futex_wait && kind != abi::k_futex_wait_bitset)
        return Errno::ENOSYS;
    if (TRY(UserPointer<u32>(address).read()) != value)
        return Errno::EAGAIN;
    Nanoseconds time = Nanoseconds::max();
    if (!timeout.is_null())
        time = TRY(to_nanoseconds(TRY(timeout.read())));
    while (time == Nanoseconds::max()) // a program that waits for itself
        arch::wait_for_interrupt();
    pass_time(time, kind == abi::k_futex_wait_bitset);
    return Errno::ETIMEDOUT;
}

} // namespace

Result<long> futex_operation(u64 address, int operation, u32 value, u64 timeout_or_count, u64 second, u32 third)
{
    if (ER_HAS_PART(futexes)) [[likely]]
        return ER_PART(futexes).operation(address, operation, value, timeout_or_count, second, third);
    if ((address & 3) != 0)
        return Errno::EINVAL;
    return operation_alone(address, operation, value, UserPointer<abi::TimeSpec>(timeout_or_count));
}

Result<long> sys_futex(u64 address, int operation, u32 value, u64 timeout_or_count, u64 second, u32 third)
{
    return futex_now(address, operation, value, timeout_or_count, second, third);
}

Result<long> sys_set_robust_list(u64 head, usize length)
{
    if (length != sizeof(abi::RobustListHead))
        return Errno::EINVAL;
    g_robust_list_exit.store(release_robust_list, std::memory_order_relaxed);
    current().exit_actions().robust_list = head;
    return 0;
}

Result<long> sys_get_robust_list(int tid, UserPointer<u64> head, UserPointer<u64> length)
{
    RefPtr<Thread> thread = tid == 0 ? RefPtr<Thread>(&current()) : ThreadTable::find(tid);
    if (!thread)
        return Errno::ESRCH;
    TRY(head.write(thread->exit_actions().robust_list));
    TRY(length.write(sizeof(abi::RobustListHead)));
    return 0;
}

} // namespace eremite
