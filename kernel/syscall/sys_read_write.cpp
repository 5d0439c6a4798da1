// read and write, apart from their kin: compiled for speed, and the calls that programs make most.
#include "file/file.h"
#include "syscall/sys_file.h"
#include <algorithm>

namespace eremite {

Result<long> sys_read(int fd, UserPointer<u8> buffer, usize count)
{
    return BorrowedFile::with(fd, [=](File& file) -> Result<long> {
        const u32 flags = file.flags();
        if ((flags & abi::k_o_accmode) == abi::k_o_wronly || (flags & abi::k_o_path) != 0)
            return Errno::EBADF;
        return static_cast<long>(TRY(file.read(UserBytes(buffer, std::min(count, abi::k_max_transfer)))));
    });
}

Result<long> sys_write(int fd, UserPointer<u8> buffer, usize count)
{
    return BorrowedFile::with(fd, [=](File& file) -> Result<long> {
        const u32 flags = file.flags();
        if ((flags & abi::k_o_accmode) == abi::k_o_rdonly || (flags & abi::k_o_path) != 0)
            return Errno::EBADF;
        return static_cast<long>(TRY(file.write(UserBytes(buffer, std::min(count, abi::k_max_transfer)))));
    });
}

} // namespace eremite
