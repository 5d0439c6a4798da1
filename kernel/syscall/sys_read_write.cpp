#include "syscall/hot_calls.h"

namespace eremite {

Result<long> sys_read(int fd, UserPointer<u8> buffer, usize count)
{
    return read_now(fd, buffer, count);
}

Result<long> sys_write(int fd, UserPointer<u8> buffer, usize count)
{
    return write_now(fd, buffer, count);
}

} // namespace eremite
