#include "syscall/sys_process.h"

#include "arch/context.h"
#include "base/log.h"
#include "sched/process.h"
#include "sched/run_queue.h"
#include "sched/scheduler.h"
#include <algorithm>

namespace eremite {

namespace {

/// A line per call that can't be, at its first use.
Errno refuse(std::atomic<bool>& was_said, const char* call, const char* why)
{
    if (!was_said.exchange(true, std::memory_order_relaxed))
        log_warning("{}: not possible, {}: ENOSYS", call, why);
    return Errno::ENOSYS;
}

constexpr const char* k_one_process = "a unikernel is one process (use threads, or start another virtual machine)";
constexpr const char* k_no_sharing = "there is no other process to share with (use threads and mmap)";

bool is_self(int pid)
{
    return pid == 0 || pid == k_process_id;
}

} // namespace

// --- The end

Result<long> sys_exit(int status)
{
    // The last thread's end is the process's, with its status.
    if (ThreadTable::application_thread_count() == 1)
        exit_process(status);
    ER_PART(threads).exit();
    __builtin_unreachable();
}

Result<long> sys_exit_group(int status)
{
    exit_process(status);
}

// --- Numbers

Result<long> sys_getpgid(int pid)
{
    return is_self(pid) ? Result<long>(k_process_id) : Errno::ESRCH;
}

long sys_getpgrp()
{
    return k_process_id;
}

Result<long> sys_setpgid(int pid, int group)
{
    if (group < 0)
        return Errno::EINVAL;
    if (!is_self(pid))
        return Errno::ESRCH;
    return Errno::EPERM; // a session's leader stays in its group
}

Result<long> sys_getsid(int pid)
{
    return is_self(pid) ? Result<long>(k_process_id) : Errno::ESRCH;
}

Result<long> sys_setsid()
{
    return Errno::EPERM; // it leads one already
}

// --- What needs a second process

Result<long> sys_fork()
{
    static constinit std::atomic<bool> was_said { false };
    return refuse(was_said, "fork", k_one_process);
}

Result<long> sys_vfork()
{
    static constinit std::atomic<bool> was_said { false };
    return refuse(was_said, "vfork", k_one_process);
}

Result<long> sys_execve(UserString, UserPointer<u64>, UserPointer<u64>)
{
    static constinit std::atomic<bool> was_said { false };
    return refuse(was_said, "execve", "the program is linked to its kernel, and can't be replaced");
}

Result<long> sys_execveat(int, UserString, UserPointer<u64>, UserPointer<u64>, int)
{
    static constinit std::atomic<bool> was_said { false };
    return refuse(was_said, "execveat", "the program is linked to its kernel, and can't be replaced");
}

Result<long> sys_wait4(int, UserPointer<i32>, int, UserPointer<abi::ResourceUsage>)
{
    return Errno::ECHILD;
}

Result<long> sys_waitid(int, int, UserPointer<u8>, int, UserPointer<abi::ResourceUsage>)
{
    return Errno::ECHILD;
}

Result<long> sys_shmget(int, usize, int)
{
    static constinit std::atomic<bool> was_said { false };
    return refuse(was_said, "shmget", k_no_sharing);
}

Result<long> sys_semget(int, int, int)
{
    static constinit std::atomic<bool> was_said { false };
    return refuse(was_said, "semget", k_no_sharing);
}

Result<long> sys_msgget(int, int)
{
    static constinit std::atomic<bool> was_said { false };
    return refuse(was_said, "msgget", k_no_sharing);
}

// --- Names

namespace {

struct Names {
    std::array<char, 65> node { "eremite" };
    std::array<char, 65> domain { "(none)" };
};
constinit SpinLock s_names_lock;
constinit Names s_names GUARDED_BY(s_names_lock);

void assign(std::span<char> target, std::string_view text)
{
    std::ranges::fill(target, '\0');
    std::ranges::copy(text.substr(0, target.size() - 1), target.begin());
}

Result<std::array<char, 65>> copy_name(UserPointer<char> name, usize length)
{
    std::array<char, 65> copied {};
    if (length > 64)
        return Errno::EINVAL;
    TRY(UserSpan<char>(name, length).copy_to_kernel(std::span(copied).first(length)));
    return copied;
}

} // namespace

Result<long> sys_uname(UserPointer<abi::UtsName> names)
{
    abi::UtsName result;
    // Programs and configure scripts choose by these: what we offer is Linux's interface, as of this release.
    assign(result.system, "Linux");
    assign(result.release, k_release);
    assign(result.version, "#1 SMP PREEMPT Eremite");
    assign(result.machine, abi::native::k_machine_name);
    {
        Locked lock(s_names_lock);
        result.node = s_names.node;
        result.domain = s_names.domain;
    }
    TRY(names.write(result));
    return 0;
}

void copy_host_name(std::array<char, 65>& name)
{
    Locked lock(s_names_lock);
    name = s_names.node;
}

Result<long> sys_sethostname(UserPointer<char> name, usize length)
{
    auto copied = TRY(copy_name(name, length));
    Locked lock(s_names_lock);
    s_names.node = copied;
    return 0;
}

Result<long> sys_setdomainname(UserPointer<char> name, usize length)
{
    auto copied = TRY(copy_name(name, length));
    Locked lock(s_names_lock);
    s_names.domain = copied;
    return 0;
}

// --- prctl and its like

Result<long> sys_prctl(int option, u64 a, u64 b, u64 c, u64 d)
{
    static constinit std::atomic<bool> no_new_privileges { false };
    static constinit std::atomic<bool> no_large_pages { false };
    static constinit std::atomic<u64> dumpable { 1 };
    Thread& self = current();
    switch (option) {
    case abi::k_pr_set_name: {
        // Up to 15 characters are taken of a longer one, so a whole array is read only if it is one.
        auto name = UserString(a).copy(Thread::k_name_length);
        if (name.is_error() && name.error() == Errno::ENAMETOOLONG) {
            std::array<char, Thread::k_name_length> start {};
            TRY(UserSpan<char>(a, start.size()).copy_to_kernel(start));
            self.set_name({ start.data(), start.size() });
            return 0;
        }
        self.set_name(TRY(std::move(name)).view());
        return 0;
    }
    case abi::k_pr_get_name: {
        std::array<char, Thread::k_name_length + 1> name {};
        std::ranges::copy(self.name(), name.begin());
        TRY(UserSpan<char>(a, name.size()).copy_from_kernel(name));
        return 0;
    }
    case abi::k_pr_set_dumpable:
        if (a > 1)
            return Errno::EINVAL;
        dumpable.store(a, std::memory_order_relaxed);
        return 0;
    case abi::k_pr_get_dumpable:
        return static_cast<long>(dumpable.load(std::memory_order_relaxed));
    case abi::k_pr_set_no_new_privs:
        if (a != 1 || b != 0 || c != 0 || d != 0)
            return Errno::EINVAL;
        no_new_privileges.store(true, std::memory_order_relaxed);
        return 0;
    case abi::k_pr_get_no_new_privs:
        return no_new_privileges.load(std::memory_order_relaxed) ? 1 : 0;
    case abi::k_pr_set_thp_disable:
        no_large_pages.store(a != 0, std::memory_order_relaxed);
        return 0;
    case abi::k_pr_get_thp_disable:
        return no_large_pages.load(std::memory_order_relaxed) ? 1 : 0;
    case abi::k_pr_set_timerslack:
    case abi::k_pr_set_pdeathsig:
        return 0; // timers have no slack, and the parent doesn't die
    case abi::k_pr_get_timerslack:
        return 1;
    case abi::k_pr_get_seccomp:
        return 0;
    default:
        return Errno::EINVAL;
    }
}

Result<long> sys_arch_prctl(int code, u64 address)
{
    constexpr int set_fs = 0x1002;
    constexpr int get_fs = 0x1003;
    switch (code) {
    case set_fs:
        if (!is_application_range(address, 1))
            return Errno::EPERM;
        arch::set_thread_pointer(address);
        return 0;
    case get_fs:
        TRY(UserPointer<u64>(address).write(arch::thread_pointer()));
        return 0;
    default:
        return Errno::EINVAL; // GS is the kernel's
    }
}

Result<long> sys_personality(u64 persona)
{
    constexpr u64 query = 0xffff'ffff;
    if (persona != query && persona != 0)
        return Errno::EINVAL;
    return 0;
}

namespace {

struct CapabilityHeader {
    u32 version;
    i32 pid;
};
constexpr u32 k_capability_version_1 = 0x19980330;
constexpr u32 k_capability_version_3 = 0x20080522;
constexpr u64 k_all_capabilities = (u64 { 1 } << 41) - 1;

/// How many words of each set the version has; the version we like best is written back for another.
Result<usize> capability_words(UserPointer<CapabilityHeader> header)
{
    CapabilityHeader copied = TRY(header.read());
    if (copied.version == k_capability_version_1)
        return 1;
    if (copied.version == k_capability_version_3 || copied.version == 0x20071026)
        return 2;
    copied.version = k_capability_version_3;
    TRY(header.write(copied));
    return Errno::EINVAL;
}

} // namespace

Result<long> sys_capget(UserPointer<u32> header, UserPointer<u32> data)
{
    auto words = capability_words(header.as<CapabilityHeader>());
    if (words.is_error())
        return data.is_null() && words.error() == Errno::EINVAL ? Result<long>(0) : words.error();
    std::array<u32, 6> sets {};
    for (usize i = 0; i < words.value(); ++i) {
        auto part = static_cast<u32>(k_all_capabilities >> (32 * i));
        sets[3 * i] = sets[3 * i + 1] = part; // effective, permitted; none inheritable
    }
    if (!data.is_null())
        TRY(UserSpan<u32>(data, 3 * words.value()).copy_from_kernel(std::span(sets).first(3 * words.value())));
    return 0;
}

Result<long> sys_capset(UserPointer<u32> header, UserPointer<u32> data)
{
    usize words = TRY(capability_words(header.as<CapabilityHeader>()));
    std::array<u32, 6> sets {};
    // Nothing here asks for a capability, so giving one up changes nothing.
    TRY(UserSpan<u32>(data, 3 * words).copy_to_kernel(std::span(sets).first(3 * words)));
    return 0;
}

} // namespace eremite
