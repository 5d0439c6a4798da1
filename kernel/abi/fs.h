// Linux's structures and constants of files, the same numbers on both architectures except where noted.
// uapi/asm-generic/{fcntl,stat,poll}.h, arch/x86/include/uapi/asm/stat.h, arch/arm64/include/uapi/asm/fcntl.h.
#pragma once

#include "base/types.h"
#include "native/abi.h"

namespace eremite::abi {

inline constexpr u32 k_o_accmode = 3;
inline constexpr u32 k_o_rdonly = 0;
inline constexpr u32 k_o_wronly = 1;
inline constexpr u32 k_o_rdwr = 2;
inline constexpr u32 k_o_creat = 0100;
inline constexpr u32 k_o_excl = 0200;
inline constexpr u32 k_o_noctty = 0400;
inline constexpr u32 k_o_trunc = 01000;
inline constexpr u32 k_o_append = 02000;
inline constexpr u32 k_o_nonblock = 04000;
inline constexpr u32 k_o_dsync = 010000;
inline constexpr u32 k_o_async = 020000;
inline constexpr u32 k_o_direct = native::k_o_direct;
inline constexpr u32 k_o_largefile = native::k_o_largefile;
inline constexpr u32 k_o_directory = native::k_o_directory;
inline constexpr u32 k_o_nofollow = native::k_o_nofollow;
inline constexpr u32 k_o_noatime = 01000000;
inline constexpr u32 k_o_cloexec = 02000000;
inline constexpr u32 k_o_sync = 04010000;
inline constexpr u32 k_o_path = 010000000;
inline constexpr u32 k_o_tmpfile = 020000000 | k_o_directory;

inline constexpr u32 k_pollin = 0x1;
inline constexpr u32 k_pollpri = 0x2;
inline constexpr u32 k_pollout = 0x4;
inline constexpr u32 k_pollerr = 0x8;
inline constexpr u32 k_pollhup = 0x10;
inline constexpr u32 k_pollnval = 0x20;
inline constexpr u32 k_pollrdnorm = 0x40;
inline constexpr u32 k_pollwrnorm = 0x100;
inline constexpr u32 k_pollrdhup = 0x2000;

struct TimeSpec {
    i64 seconds { 0 };
    i64 nanoseconds { 0 };
};

struct TimeVal {
    i64 seconds { 0 };
    i64 microseconds { 0 };
};

struct IoVector {
    u64 base { 0 };
    u64 length { 0 };
};

using Stat = native::Stat;

inline constexpr u32 k_s_ifmt = 0170000;
inline constexpr u32 k_s_ifsock = 0140000;
inline constexpr u32 k_s_iflnk = 0120000;
inline constexpr u32 k_s_ifreg = 0100000;
inline constexpr u32 k_s_ifblk = 0060000;
inline constexpr u32 k_s_ifdir = 0040000;
inline constexpr u32 k_s_ifchr = 0020000;
inline constexpr u32 k_s_ififo = 0010000;

} // namespace eremite::abi
