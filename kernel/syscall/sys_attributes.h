// System calls on what files are: stat, permissions, owners, times, extended attributes.
#pragma once

#include "abi/fs.h"
#include "syscall/dispatch.h"

namespace eremite {

Result<long> sys_stat(UserString path, UserPointer<abi::Stat> stat);
Result<long> sys_lstat(UserString path, UserPointer<abi::Stat> stat);
Result<long> sys_newfstatat(int fd, UserString path, UserPointer<abi::Stat> stat, u32 flags);
Result<long> sys_statx(int fd, UserString path, u32 flags, u32 mask, UserPointer<abi::Statx> statx);
Result<long> sys_access(UserString path, u32 mode);
Result<long> sys_faccessat(int fd, UserString path, u32 mode);
Result<long> sys_faccessat2(int fd, UserString path, u32 mode, u32 flags);
Result<long> sys_chmod(UserString path, u32 mode);
Result<long> sys_fchmod(int fd, u32 mode);
Result<long> sys_fchmodat(int fd, UserString path, u32 mode);
Result<long> sys_chown(UserString path, u32 uid, u32 gid);
Result<long> sys_lchown(UserString path, u32 uid, u32 gid);
Result<long> sys_fchown(int fd, u32 uid, u32 gid);
Result<long> sys_fchownat(int fd, UserString path, u32 uid, u32 gid, u32 flags);
Result<long> sys_utimensat(int fd, UserString path, UserPointer<abi::TimeSpec> times, u32 flags);
Result<long> sys_futimesat(int fd, UserString path, UserPointer<abi::TimeVal> times);
Result<long> sys_utimes(UserString path, UserPointer<abi::TimeVal> times);
Result<long> sys_utime(UserString path, UserPointer<i64> times);
Result<long> sys_umask(u32 mask);
Result<long> sys_statfs(UserString path, UserPointer<abi::StatFs> statistics);
Result<long> sys_fstatfs(int fd, UserPointer<abi::StatFs> statistics);

Result<long> sys_getxattr(UserString path, UserString name, UserPointer<u8> value, usize size);
Result<long> sys_lgetxattr(UserString path, UserString name, UserPointer<u8> value, usize size);
Result<long> sys_fgetxattr(int fd, UserString name, UserPointer<u8> value, usize size);
Result<long> sys_setxattr(UserString path, UserString name, UserPointer<u8> value, usize size, int flags);
Result<long> sys_lsetxattr(UserString path, UserString name, UserPointer<u8> value, usize size, int flags);
Result<long> sys_fsetxattr(int fd, UserString name, UserPointer<u8> value, usize size, int flags);
Result<long> sys_listxattr(UserString path, UserPointer<u8> list, usize size);
Result<long> sys_llistxattr(UserString path, UserPointer<u8> list, usize size);
Result<long> sys_flistxattr(int fd, UserPointer<u8> list, usize size);
Result<long> sys_removexattr(UserString path, UserString name);
Result<long> sys_lremovexattr(UserString path, UserString name);
Result<long> sys_fremovexattr(int fd, UserString name);

} // namespace eremite
