// System calls on directories and on the tree: reading and changing them, mounting.
#pragma once

#include "abi/fs.h"
#include "syscall/dispatch.h"

namespace eremite {

Result<long> sys_getdents64(int fd, UserPointer<u8> buffer, u32 size);
Result<long> sys_chdir(UserString path);
Result<long> sys_fchdir(int fd);
Result<long> sys_getcwd(UserPointer<u8> buffer, usize size);
Result<long> sys_chroot(UserString path);
Result<long> sys_mount(UserString source, UserString target, UserString type, u64 flags, UserString data);
Result<long> sys_umount2(UserString target, u32 flags);
Result<long> sys_sync();
Result<long> sys_syncfs(int fd);

} // namespace eremite
