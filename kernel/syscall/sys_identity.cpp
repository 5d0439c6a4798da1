// User and group numbers: kept and handed out as on Linux, for programs that give up root. Nothing is allowed or denied
// by them.
#include "syscall/sys_process.h"

#include "sync/spin_lock.h"
#include <algorithm>

namespace eremite {

namespace {

constexpr u32 k_unchanged = ~u32 { 0 };
constexpr usize k_max_groups = 64;

struct Identity {
    u32 real { 0 };
    u32 effective { 0 };
    u32 saved { 0 };

    bool has(u32 id) const { return id == k_unchanged || id == real || id == effective || id == saved; }
};

struct Identities {
    Identity user;
    Identity group;
    u32 group_count { 0 };
    std::array<u32, k_max_groups> groups {};

    bool is_root() const { return user.effective == 0; }
};

constinit SpinLock s_lock;
constinit Identities s_ids GUARDED_BY(s_lock);

Identities snapshot()
{
    Locked lock(s_lock);
    return s_ids;
}

Result<long> set_one(Identity Identities::* which, u32 id)
{
    if (id == k_unchanged)
        return Errno::EINVAL;
    Locked lock(s_lock);
    Identity& identity = s_ids.*which;
    if (s_ids.is_root())
        identity = { id, id, id };
    else if (id == identity.real || id == identity.saved)
        identity.effective = id;
    else
        return Errno::EPERM;
    return 0;
}

Result<long> set_two(Identity Identities::* which, u32 real, u32 effective)
{
    Locked lock(s_lock);
    Identity& identity = s_ids.*which;
    bool real_allowed = real == k_unchanged || real == identity.real || real == identity.effective;
    if (!s_ids.is_root() && (!real_allowed || !identity.has(effective)))
        return Errno::EPERM;
    u32 old_real = identity.real;
    if (real != k_unchanged)
        identity.real = real;
    if (effective != k_unchanged)
        identity.effective = effective;
    if (real != k_unchanged || (effective != k_unchanged && effective != old_real))
        identity.saved = identity.effective;
    return 0;
}

Result<long> set_three(Identity Identities::* which, u32 real, u32 effective, u32 saved)
{
    Locked lock(s_lock);
    Identity& identity = s_ids.*which;
    if (!s_ids.is_root() && !(identity.has(real) && identity.has(effective) && identity.has(saved)))
        return Errno::EPERM;
    if (real != k_unchanged)
        identity.real = real;
    if (effective != k_unchanged)
        identity.effective = effective;
    if (saved != k_unchanged)
        identity.saved = saved;
    return 0;
}

Result<long> get_three(
    const Identity& identity, UserPointer<u32> real, UserPointer<u32> effective, UserPointer<u32> saved)
{
    TRY(real.write(identity.real));
    TRY(effective.write(identity.effective));
    TRY(saved.write(identity.saved));
    return 0;
}

} // namespace

long sys_getuid()
{
    Locked lock(s_lock);
    return s_ids.user.real;
}

long sys_geteuid()
{
    Locked lock(s_lock);
    return s_ids.user.effective;
}

long sys_getgid()
{
    Locked lock(s_lock);
    return s_ids.group.real;
}

long sys_getegid()
{
    Locked lock(s_lock);
    return s_ids.group.effective;
}

Result<long> sys_setuid(u32 id)
{
    return set_one(&Identities::user, id);
}

Result<long> sys_setgid(u32 id)
{
    return set_one(&Identities::group, id);
}

Result<long> sys_setreuid(u32 real, u32 effective)
{
    return set_two(&Identities::user, real, effective);
}

Result<long> sys_setregid(u32 real, u32 effective)
{
    return set_two(&Identities::group, real, effective);
}

Result<long> sys_setresuid(u32 real, u32 effective, u32 saved)
{
    return set_three(&Identities::user, real, effective, saved);
}

Result<long> sys_setresgid(u32 real, u32 effective, u32 saved)
{
    return set_three(&Identities::group, real, effective, saved);
}

Result<long> sys_getresuid(UserPointer<u32> real, UserPointer<u32> effective, UserPointer<u32> saved)
{
    return get_three(snapshot().user, real, effective, saved);
}

Result<long> sys_getresgid(UserPointer<u32> real, UserPointer<u32> effective, UserPointer<u32> saved)
{
    return get_three(snapshot().group, real, effective, saved);
}

long sys_setfsuid(u32)
{
    Locked lock(s_lock);
    return s_ids.user.effective; // follows the effective one, and has no effect of its own
}

long sys_setfsgid(u32)
{
    Locked lock(s_lock);
    return s_ids.group.effective;
}

Result<long> sys_getgroups(int count, UserPointer<u32> groups)
{
    Identities ids = snapshot();
    if (count == 0)
        return static_cast<long>(ids.group_count);
    if (count < static_cast<int>(ids.group_count))
        return Errno::EINVAL;
    TRY(UserSpan<u32>(groups, ids.group_count).copy_from_kernel(std::span(ids.groups).first(ids.group_count)));
    return static_cast<long>(ids.group_count);
}

Result<long> sys_setgroups(int count, UserPointer<u32> groups)
{
    if (count < 0 || static_cast<usize>(count) > k_max_groups)
        return Errno::EINVAL;
    std::array<u32, k_max_groups> copied {};
    TRY(UserSpan<u32>(groups, static_cast<usize>(count))
            .copy_to_kernel(std::span(copied).first(static_cast<usize>(count))));
    Locked lock(s_lock);
    if (!s_ids.is_root())
        return Errno::EPERM;
    s_ids.groups = copied;
    s_ids.group_count = static_cast<u32>(count);
    return 0;
}

} // namespace eremite
