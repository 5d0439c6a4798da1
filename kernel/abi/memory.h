// Linux's constants of memory calls, the same numbers on both architectures.
// uapi/asm-generic/{mman.h,mman-common.h}, uapi/linux/mman.h.
#pragma once

#include "base/types.h"

namespace eremite::abi {

inline constexpr u32 k_prot_none = 0;
inline constexpr u32 k_prot_read = 1;
inline constexpr u32 k_prot_write = 2;
inline constexpr u32 k_prot_execute = 4;
inline constexpr u32 k_prot_growsdown = 0x0100'0000;
inline constexpr u32 k_prot_growsup = 0x0200'0000;

inline constexpr u32 k_map_shared = 0x01;
inline constexpr u32 k_map_private = 0x02;
inline constexpr u32 k_map_shared_validate = 0x03;
inline constexpr u32 k_map_type = 0x0f;
inline constexpr u32 k_map_fixed = 0x10;
inline constexpr u32 k_map_anonymous = 0x20;
inline constexpr u32 k_map_growsdown = 0x0100;
inline constexpr u32 k_map_denywrite = 0x0800;
inline constexpr u32 k_map_executable = 0x1000;
inline constexpr u32 k_map_locked = 0x2000;
inline constexpr u32 k_map_noreserve = 0x4000;
inline constexpr u32 k_map_populate = 0x8000;
inline constexpr u32 k_map_nonblock = 0x1'0000;
inline constexpr u32 k_map_stack = 0x2'0000;
inline constexpr u32 k_map_hugetlb = 0x4'0000;
inline constexpr u32 k_map_sync = 0x8'0000;
inline constexpr u32 k_map_fixed_noreplace = 0x10'0000;

inline constexpr u32 k_mremap_maymove = 1;
inline constexpr u32 k_mremap_fixed = 2;
inline constexpr u32 k_mremap_dontunmap = 4;

inline constexpr u32 k_ms_async = 1;
inline constexpr u32 k_ms_invalidate = 2;
inline constexpr u32 k_ms_sync = 4;

inline constexpr u32 k_mlock_onfault = 1;
inline constexpr u32 k_mcl_current = 1;
inline constexpr u32 k_mcl_future = 2;
inline constexpr u32 k_mcl_onfault = 4;

inline constexpr u32 k_grnd_nonblock = 1;
inline constexpr u32 k_grnd_random = 2;
inline constexpr u32 k_grnd_insecure = 4;

enum class Advice : int {
    Normal = 0,
    Random = 1,
    Sequential = 2,
    WillNeed = 3,
    DontNeed = 4,
    Free = 8,
    Remove = 9,
    DontFork = 10,
    DoFork = 11,
    Mergeable = 12,
    Unmergeable = 13,
    HugePage = 14,
    NoHugePage = 15,
    DontDump = 16,
    DoDump = 17,
    WipeOnFork = 18,
    KeepOnFork = 19,
    Cold = 20,
    PageOut = 21,
    PopulateRead = 22,
    PopulateWrite = 23,
    DontNeedLocked = 24,
    Collapse = 25,
};

/// struct sysinfo, uapi/linux/sysinfo.h.
struct SystemInformation {
    i64 uptime { 0 };
    u64 loads[3] {};
    u64 total_ram { 0 };
    u64 free_ram { 0 };
    u64 shared_ram { 0 };
    u64 buffer_ram { 0 };
    u64 total_swap { 0 };
    u64 free_swap { 0 };
    u16 processes { 0 };
    u16 padding { 0 };
    u64 total_high { 0 };
    u64 free_high { 0 };
    u32 memory_unit { 1 };
};
static_assert(sizeof(SystemInformation) == 112);

} // namespace eremite::abi
