// System calls that make, open, move and remove files by path.
#pragma once

#include "abi/fs.h"
#include "syscall/dispatch.h"

namespace eremite {

Result<long> sys_open(UserString path, u32 flags, u32 mode);
Result<long> sys_openat(int fd, UserString path, u32 flags, u32 mode);
Result<long> sys_openat2(int fd, UserString path, UserPointer<abi::OpenHow> how, usize size);
Result<long> sys_creat(UserString path, u32 mode);
Result<long> sys_mkdir(UserString path, u32 mode);
Result<long> sys_mkdirat(int fd, UserString path, u32 mode);
Result<long> sys_mknod(UserString path, u32 mode, u32 device);
Result<long> sys_mknodat(int fd, UserString path, u32 mode, u32 device);
Result<long> sys_rmdir(UserString path);
Result<long> sys_unlink(UserString path);
Result<long> sys_unlinkat(int fd, UserString path, u32 flags);
Result<long> sys_rename(UserString from, UserString to);
Result<long> sys_renameat(int from_fd, UserString from, int to_fd, UserString to);
Result<long> sys_renameat2(int from_fd, UserString from, int to_fd, UserString to, u32 flags);
Result<long> sys_link(UserString from, UserString to);
Result<long> sys_linkat(int from_fd, UserString from, int to_fd, UserString to, u32 flags);
Result<long> sys_symlink(UserString target, UserString path);
Result<long> sys_symlinkat(UserString target, int fd, UserString path);
Result<long> sys_readlink(UserString path, UserPointer<u8> buffer, isize size);
Result<long> sys_readlinkat(int fd, UserString path, UserPointer<u8> buffer, isize size);
Result<long> sys_truncate(UserString path, i64 length);

} // namespace eremite
