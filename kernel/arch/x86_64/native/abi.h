// Where Linux's ABI on x86_64 has layouts or numbers of its own.
#pragma once

#include "base/types.h"

namespace eremite::abi::native {

inline constexpr const char* k_machine_name = "x86_64";

inline constexpr u32 k_o_direct = 040000;
inline constexpr u32 k_o_largefile = 0100000;
inline constexpr u32 k_o_directory = 0200000;
inline constexpr u32 k_o_nofollow = 0400000;

/// struct stat, arch/x86/include/uapi/asm/stat.h.
struct Stat {
    u64 device { 0 };
    u64 inode { 0 };
    u64 link_count { 0 };
    u32 mode { 0 };
    u32 uid { 0 };
    u32 gid { 0 };
    u32 padding { 0 };
    u64 special_device { 0 };
    i64 size { 0 };
    i64 block_size { 0 };
    i64 blocks { 0 };
    i64 access_seconds { 0 };
    i64 access_nanoseconds { 0 };
    i64 modify_seconds { 0 };
    i64 modify_nanoseconds { 0 };
    i64 change_seconds { 0 };
    i64 change_nanoseconds { 0 };
    i64 unused[3] {};
};
static_assert(sizeof(Stat) == 144);

/// struct epoll_event: packed on x86 alone.
struct [[gnu::packed]] EpollEvent {
    u32 events { 0 };
    u64 data { 0 };
};
static_assert(sizeof(EpollEvent) == 12);

} // namespace eremite::abi::native
