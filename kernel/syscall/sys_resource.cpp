#include "syscall/sys_resource.h"

#include "file/file.h"
#include "mm/address_space.h"
#include "sched/process.h"
#include "sched/scheduler.h"
#include "syscall/time_argument.h"
#include <array>

namespace eremite {

namespace {

constexpr u64 k_unlimited = abi::k_rlim_infinity;
constexpr u64 k_main_stack = 8_MiB;

// By RLIMIT_*. Those that nothing here uses up are kept and told, as on Linux.
constinit SpinLock s_lock;
constinit std::array<abi::ResourceLimit, abi::k_rlimit_count> s_limits GUARDED_BY(s_lock) { {
    { k_unlimited, k_unlimited }, // CPU
    { k_unlimited, k_unlimited }, // FSIZE
    { k_unlimited, k_unlimited }, // DATA
    { k_main_stack, k_unlimited }, // STACK
    { 0, k_unlimited }, // CORE
    { k_unlimited, k_unlimited }, // RSS
    { k_unlimited, k_unlimited }, // NPROC
    { FdTable::k_default_limit, FdTable::k_hard_limit }, // NOFILE
    { k_unlimited, k_unlimited }, // MEMLOCK
    { k_unlimited, k_unlimited }, // AS
    { k_unlimited, k_unlimited }, // LOCKS
    { k_unlimited, k_unlimited }, // SIGPENDING
    { 0, 0 }, // MSGQUEUE: there are none
    { 40, 40 }, // NICE
    { 99, 99 }, // RTPRIO
    { k_unlimited, k_unlimited }, // RTTIME
} };

void apply(u32 resource, const abi::ResourceLimit& limit)
{
    if (resource == abi::k_rlimit_nofile)
        fd_table().set_limit(static_cast<u32>(limit.soft));
    else if (resource == abi::k_rlimit_as)
        address_space().set_limit(limit.soft);
}

} // namespace

Result<long> sys_prlimit64(
    int pid, u32 resource, UserPointer<abi::ResourceLimit> wanted, UserPointer<abi::ResourceLimit> old)
{
    if (pid != 0 && pid != k_process_id)
        return Errno::ESRCH;
    if (resource >= abi::k_rlimit_count)
        return Errno::EINVAL;
    abi::ResourceLimit limit;
    if (!wanted.is_null()) {
        limit = TRY(wanted.read());
        if (limit.soft > limit.hard)
            return Errno::EINVAL;
        if (resource == abi::k_rlimit_nofile && limit.hard > FdTable::k_hard_limit)
            return Errno::EPERM;
    }
    abi::ResourceLimit previous;
    {
        Locked lock(s_lock);
        previous = s_limits[resource];
        if (!wanted.is_null()) {
            s_limits[resource] = limit;
            apply(resource, limit);
        }
    }
    if (!old.is_null())
        TRY(old.write(previous));
    return 0;
}

Result<long> sys_getrlimit(u32 resource, UserPointer<abi::ResourceLimit> limit)
{
    return sys_prlimit64(0, resource, {}, limit);
}

Result<long> sys_setrlimit(u32 resource, UserPointer<abi::ResourceLimit> limit)
{
    return sys_prlimit64(0, resource, limit, {});
}

Result<long> sys_getrusage(int who, UserPointer<abi::ResourceUsage> pointer)
{
    constexpr int self = 0;
    constexpr int children = -1;
    constexpr int thread = 1;
    abi::ResourceUsage usage;
    // Time in the kernel isn't told from time in the application: a system call is a function call.
    switch (who) {
    case self:
        usage.user_time = to_time_val(process_cpu_time());
        ThreadTable::for_each_application_thread([&](Thread& each) {
            usage.voluntary_switches += static_cast<i64>(each.voluntary_switches());
            usage.involuntary_switches += static_cast<i64>(each.involuntary_switches());
            return true;
        });
        break;
    case thread:
        usage.user_time = to_time_val(current().cpu_time());
        usage.voluntary_switches = static_cast<i64>(current().voluntary_switches());
        usage.involuntary_switches = static_cast<i64>(current().involuntary_switches());
        break;
    case children:
        break; // none
    default:
        return Errno::EINVAL;
    }
    if (who != children) {
        AddressSpace::Statistics memory = address_space().statistics();
        usage.maximum_resident = static_cast<i64>(memory.resident * k_page_size / 1024);
        usage.minor_faults = static_cast<i64>(memory.faults);
    }
    TRY(pointer.write(usage));
    return 0;
}

} // namespace eremite
