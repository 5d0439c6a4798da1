// Limits and use of resources.
#pragma once

#include "abi/process.h"
#include "syscall/dispatch.h"

namespace eremite {

Result<long> sys_prlimit64(
    int pid, u32 resource, UserPointer<abi::ResourceLimit> wanted, UserPointer<abi::ResourceLimit> old);
Result<long> sys_getrlimit(u32 resource, UserPointer<abi::ResourceLimit> limit);
Result<long> sys_setrlimit(u32 resource, UserPointer<abi::ResourceLimit> limit);
Result<long> sys_getrusage(int who, UserPointer<abi::ResourceUsage> usage);

} // namespace eremite
