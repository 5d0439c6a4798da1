// The one thing that those files ask of the memory manager: all of the process's lower half is application memory.
#include "syscall/user_pointer.h"

namespace eremite {

bool is_application_range(u64 address, u64 length)
{
    return address < u64 { 1 } << 47 && length <= (u64 { 1 } << 47) - address;
}

} // namespace eremite
