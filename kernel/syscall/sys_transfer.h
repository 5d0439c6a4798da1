// System calls that move data between descriptors without the application; and files that are only memory.
#pragma once

#include "abi/fs.h"
#include "syscall/dispatch.h"

namespace eremite {

Result<long> sys_sendfile(int out, int in, UserPointer<i64> offset, usize count);
Result<long> sys_copy_file_range(
    int in, UserPointer<i64> in_offset, int out, UserPointer<i64> out_offset, usize count, u32 flags);
Result<long> sys_splice(
    int in, UserPointer<i64> in_offset, int out, UserPointer<i64> out_offset, usize count, u32 flags);
Result<long> sys_tee(int in, int out, usize count, u32 flags);
Result<long> sys_vmsplice(int fd, UserPointer<abi::IoVector> vectors, usize count, u32 flags);
Result<long> sys_memfd_create(UserString name, u32 flags);

} // namespace eremite
