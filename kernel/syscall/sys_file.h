// System calls on open descriptors, whatever is behind them. Linux's manual pages say what each does.
#pragma once

#include "abi/fs.h"
#include "syscall/dispatch.h"

namespace eremite {

Result<long> sys_read(int fd, UserPointer<u8> buffer, usize count);
RESTARTS(sys_read);
Result<long> sys_write(int fd, UserPointer<u8> buffer, usize count);
RESTARTS(sys_write);
Result<long> sys_readv(int fd, UserPointer<abi::IoVector> vectors, usize count);
RESTARTS(sys_readv);
Result<long> sys_writev(int fd, UserPointer<abi::IoVector> vectors, usize count);
RESTARTS(sys_writev);
Result<long> sys_pread64(int fd, UserPointer<u8> buffer, usize count, i64 offset);
Result<long> sys_pwrite64(int fd, UserPointer<u8> buffer, usize count, i64 offset);
/// The offset comes in `low`, whole; `high` is the upper half on 32-bit machines.
Result<long> sys_preadv(int fd, UserPointer<abi::IoVector> vectors, usize count, i64 low, u64 high);
Result<long> sys_pwritev(int fd, UserPointer<abi::IoVector> vectors, usize count, i64 low, u64 high);
Result<long> sys_preadv2(int fd, UserPointer<abi::IoVector> vectors, usize count, i64 low, u64 high, u32 flags);
Result<long> sys_pwritev2(int fd, UserPointer<abi::IoVector> vectors, usize count, i64 low, u64 high, u32 flags);
Result<long> sys_lseek(int fd, i64 offset, int whence);
Result<long> sys_close(int fd);
Result<long> sys_close_range(u32 first, u32 last, u32 flags);
Result<long> sys_dup(int fd);
Result<long> sys_dup2(int fd, int target);
Result<long> sys_dup3(int fd, int target, int flags);
Result<long> sys_fcntl(int fd, int command, u64 argument);
RESTARTS(sys_fcntl);
Result<long> sys_ioctl(int fd, u32 request, u64 argument);
Result<long> sys_fstat(int fd, UserPointer<abi::Stat> stat);
Result<long> sys_ftruncate(int fd, i64 length);
Result<long> sys_fallocate(int fd, int mode, i64 offset, i64 length);
Result<long> sys_fadvise64(int fd, i64 offset, i64 length, int advice);
Result<long> sys_readahead(int fd, i64 offset, usize count);
Result<long> sys_fsync(int fd);
Result<long> sys_fdatasync(int fd);
Result<long> sys_sync_file_range(int fd, i64 offset, i64 length, u32 flags);
Result<long> sys_flock(int fd, int operation);
RESTARTS(sys_flock);

} // namespace eremite
