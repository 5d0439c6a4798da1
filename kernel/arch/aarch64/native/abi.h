// Where Linux's ABI on aarch64 has layouts or numbers of its own.
#pragma once

#include "base/types.h"

namespace eremite::abi::native {

inline constexpr const char* k_machine_name = "aarch64";

inline constexpr u32 k_o_directory = 040000;
inline constexpr u32 k_o_nofollow = 0100000;
inline constexpr u32 k_o_direct = 0200000;
inline constexpr u32 k_o_largefile = 0400000;

/// struct stat, uapi/asm-generic/stat.h.
struct Stat {
    u64 device { 0 };
    u64 inode { 0 };
    u32 mode { 0 };
    u32 link_count { 0 };
    u32 uid { 0 };
    u32 gid { 0 };
    u64 special_device { 0 };
    u64 padding { 0 };
    i64 size { 0 };
    i32 block_size { 0 };
    i32 padding2 { 0 };
    i64 blocks { 0 };
    i64 access_seconds { 0 };
    i64 access_nanoseconds { 0 };
    i64 modify_seconds { 0 };
    i64 modify_nanoseconds { 0 };
    i64 change_seconds { 0 };
    i64 change_nanoseconds { 0 };
    u32 unused[2] {};
};
static_assert(sizeof(Stat) == 128);

struct EpollEvent {
    u32 events { 0 };
    u64 data { 0 };
};
static_assert(sizeof(EpollEvent) == 16);

} // namespace eremite::abi::native
