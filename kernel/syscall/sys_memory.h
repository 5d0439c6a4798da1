// System calls on memory.
#pragma once

#include "abi/memory.h"
#include "syscall/dispatch.h"

namespace eremite {

Result<long> sys_mmap(u64 address, u64 length, u32 protection, u32 flags, int fd, u64 offset);
Result<long> sys_munmap(u64 address, u64 length);
Result<long> sys_mprotect(u64 address, u64 length, u32 protection);
Result<long> sys_mremap(u64 address, u64 old_length, u64 length, u32 flags, u64 target);
Result<long> sys_madvise(u64 address, u64 length, int advice);
Result<long> sys_mincore(u64 address, u64 length, UserPointer<u8> pages);
Result<long> sys_msync(u64 address, u64 length, u32 flags);
Result<long> sys_mlock(u64 address, u64 length);
Result<long> sys_mlock2(u64 address, u64 length, u32 flags);
Result<long> sys_munlock(u64 address, u64 length);
Result<long> sys_mlockall(u32 flags);
Result<long> sys_munlockall();
/// Returns the end of the heap: the new one, or the old one if it can't be so.
long sys_brk(u64 end);
Result<long> sys_sysinfo(UserPointer<abi::SystemInformation> information);

} // namespace eremite
