// What the fault handler asks of the memory manager.
#pragma once

#include "arch/trap.h"
#include "base/types.h"
#include <atomic>

namespace eremite {

enum class PageFaultResult : u8 {
    Resolved, // try again: the page is there now, or was a moment too late in this processor's TLB
    NotMapped, // nothing is mapped there: SIGSEGV, SEGV_MAPERR
    NotAllowed, // mapped, but not for this access: SIGSEGV, SEGV_ACCERR
    BeyondEnd, // a file's page behind its end, or a file that can't be read: SIGBUS, BUS_ADRERR
    OutOfMemory, // no frame left for it
};

/// Demand paging: gives the application's page at `address` a frame, if a mapping says that there is one. Sleeps;
/// called with interrupts on, no lock held. Addresses of the kernel's half are NotMapped.
PageFaultResult handle_page_fault(VirtualAddress address, arch::Access access);

/// What lies at `address`, in words for a report: "text", "read-only data", "data", "heap", "the main stack",
/// "anonymous memory", "a guard page", "kernel memory", ...; null if nothing does. Takes no lock that could be held.
const char* describe_address(VirtualAddress address);

/// How often somebody touched memory whose protection key was closed to him (/proc/stat: isolation_violations).
inline constinit std::atomic<u64> g_isolation_violations { 0 };

} // namespace eremite
