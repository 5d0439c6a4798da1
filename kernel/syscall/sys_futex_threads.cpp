// futex(2) where there are threads.
#include "sched/clock.h"
#include "sched/futex.h"
#include "syscall/sys_futex.h"
#include "syscall/time_argument.h"
#include <array>

namespace eremite {

namespace {

[[gnu::noinline]] Result<long> wait(
    u64 address, int operation, u32 value, UserPointer<abi::TimeSpec> timeout, u32 bitset, bool is_absolute)
{
    bool realtime = (operation & abi::k_futex_clock_realtime) != 0;
    Nanoseconds deadline = Nanoseconds::max();
    if (!timeout.is_null()) {
        deadline = TRY(to_nanoseconds(TRY(timeout.read())));
        if (deadline != Nanoseconds::max()) {
            if (!is_absolute)
                deadline = monotonic_now() + deadline;
            else if (realtime)
                deadline = monotonic_now() + (deadline - realtime_now());
        }
    }
    Result<> result = futex_wait(address, value, bitset, deadline);
    if (result.is_error()) {
        // Of all futex operations this one alone is made again after a signal, and not with a timeout: that would begin
        // anew. So it isn't said with RESTARTS, which would keep the arguments of each call.
        if (result.error() == Errno::EINTR && timeout.is_null()) {
            const std::array<u64, 6> arguments { address, static_cast<u64>(operation), value, 0, 0, bitset };
            remember_interrupted_call(arguments);
        }
        return result.error();
    }
    return 0;
}

/// Counts are int in Linux's interface; negative ones there mean as many as there are.
usize to_count(u64 value)
{
    return static_cast<i32>(value) < 0 ? SIZE_MAX : static_cast<usize>(static_cast<u32>(value));
}

Result<long> to_long(Result<usize>&& count)
{
    if (count.is_error())
        return count.error();
    return static_cast<long>(count.value());
}

Result<long> operation_among_threads(u64 address, int operation, u32 value, u64 timeout_or_count, u64 second, u32 third)
{
    UserPointer<abi::TimeSpec> timeout(timeout_or_count);
    switch (operation & ~(abi::k_futex_private_flag | abi::k_futex_clock_realtime)) {
    case abi::k_futex_wake:
        // Linux wakes one even for a count of 0.
        return to_long(futex_wake(address, value == 0 ? 1 : to_count(value)));
    case abi::k_futex_wait:
        return wait(address, operation, value, timeout, abi::k_futex_bitset_match_any, false);
    case abi::k_futex_wait_bitset:
        return wait(address, operation, value, timeout, third, true);
    case abi::k_futex_wake_bitset:
        return to_long(futex_wake(address, to_count(value), third));
    case abi::k_futex_requeue:
        return to_long(futex_requeue(address, second, to_count(value), to_count(timeout_or_count), nullptr));
    case abi::k_futex_cmp_requeue:
        return to_long(futex_requeue(address, second, to_count(value), to_count(timeout_or_count), &third));
    case abi::k_futex_wake_op:
        return to_long(futex_wake_operation(address, second, to_count(value), to_count(timeout_or_count), third));
    default:
        return Errno::ENOSYS;
    }
}

} // namespace

ER_DEFINE_PART(FutexesPart, futexes, operation_among_threads)

} // namespace eremite
