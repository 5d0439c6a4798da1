// System calls on the process, of which there is one: its end, its numbers, its names, and what it can't do (fork).
#pragma once

#include <array>
#include <string_view>

#include "abi/process.h"
#include "sched/process.h"
#include "syscall/dispatch.h"

namespace eremite {

Result<long> sys_exit(int status);
Result<long> sys_exit_group(int status);

inline long sys_getpid()
{
    return k_process_id;
}
IS_TRIVIAL(sys_getpid);
/// 0: the parent is outside of the machine.
inline long sys_getppid()
{
    return 0;
}
IS_TRIVIAL(sys_getppid);
Result<long> sys_getpgid(int pid);
long sys_getpgrp();
Result<long> sys_setpgid(int pid, int group);
Result<long> sys_getsid(int pid);
Result<long> sys_setsid();

/// There is one process: ENOSYS, and a line in the log that says so.
Result<long> sys_fork();
Result<long> sys_vfork();
Result<long> sys_execve(UserString path, UserPointer<u64> arguments, UserPointer<u64> environment);
Result<long> sys_execveat(
    int directory, UserString path, UserPointer<u64> arguments, UserPointer<u64> environment, int flags);
/// ECHILD: a process that can't have children has none.
Result<long> sys_wait4(int pid, UserPointer<i32> status, int options, UserPointer<abi::ResourceUsage> usage);
Result<long> sys_waitid(
    int type, int id, UserPointer<u8> information, int options, UserPointer<abi::ResourceUsage> usage);
/// IPC between processes: as fork.
Result<long> sys_shmget(int key, usize size, int flags);
Result<long> sys_semget(int key, int count, int flags);
Result<long> sys_msgget(int key, int flags);

long sys_getuid();
long sys_geteuid();
long sys_getgid();
long sys_getegid();
Result<long> sys_setuid(u32 id);
Result<long> sys_setgid(u32 id);
Result<long> sys_setreuid(u32 real, u32 effective);
Result<long> sys_setregid(u32 real, u32 effective);
Result<long> sys_setresuid(u32 real, u32 effective, u32 saved);
Result<long> sys_setresgid(u32 real, u32 effective, u32 saved);
Result<long> sys_getresuid(UserPointer<u32> real, UserPointer<u32> effective, UserPointer<u32> saved);
Result<long> sys_getresgid(UserPointer<u32> real, UserPointer<u32> effective, UserPointer<u32> saved);
long sys_setfsuid(u32 id);
long sys_setfsgid(u32 id);
Result<long> sys_getgroups(int count, UserPointer<u32> groups);
Result<long> sys_setgroups(int count, UserPointer<u32> groups);

/// What uname(2) gives as the release.
inline constexpr std::string_view k_release = "6.1.0-eremite";
/// The host's name, ended by NUL.
void copy_host_name(std::array<char, 65>& name);
Result<long> sys_uname(UserPointer<abi::UtsName> names);
Result<long> sys_sethostname(UserPointer<char> name, usize length);
Result<long> sys_setdomainname(UserPointer<char> name, usize length);
Result<long> sys_prctl(int option, u64 a, u64 b, u64 c, u64 d);
Result<long> sys_arch_prctl(int code, u64 address);
Result<long> sys_personality(u64 persona);
Result<long> sys_capget(UserPointer<u32> header, UserPointer<u32> data);
Result<long> sys_capset(UserPointer<u32> header, UserPointer<u32> data);

} // namespace eremite
