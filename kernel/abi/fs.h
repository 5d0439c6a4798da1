// Linux's structures and constants of files, the same numbers on both architectures except where noted.
// uapi/asm-generic/{fcntl,stat,poll}.h, arch/x86/include/uapi/asm/stat.h, arch/arm64/include/uapi/asm/fcntl.h.
#pragma once

#include "abi/native.h"
#include "base/types.h"

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

inline constexpr int k_f_dupfd = 0;
inline constexpr int k_f_getfd = 1;
inline constexpr int k_f_setfd = 2;
inline constexpr int k_f_getfl = 3;
inline constexpr int k_f_setfl = 4;
inline constexpr int k_f_getlk = 5;
inline constexpr int k_f_setlk = 6;
inline constexpr int k_f_setlkw = 7;
inline constexpr int k_f_setown = 8;
inline constexpr int k_f_getown = 9;
inline constexpr int k_f_ofd_getlk = 36;
inline constexpr int k_f_ofd_setlk = 37;
inline constexpr int k_f_ofd_setlkw = 38;
inline constexpr int k_f_dupfd_cloexec = 1030;
inline constexpr int k_f_setpipe_sz = 1031;
inline constexpr int k_f_getpipe_sz = 1032;
inline constexpr int k_f_add_seals = 1033;
inline constexpr int k_f_get_seals = 1034;
inline constexpr int k_fd_cloexec = 1;

inline constexpr i16 k_f_rdlck = 0;
inline constexpr i16 k_f_wrlck = 1;
inline constexpr i16 k_f_unlck = 2;

/// struct flock.
struct FileLock {
    i16 type { 0 };
    i16 whence { 0 };
    i32 padding { 0 };
    i64 start { 0 };
    i64 length { 0 };
    i32 pid { 0 };
    i32 padding2 { 0 };
};
static_assert(sizeof(FileLock) == 32);

inline constexpr int k_lock_sh = 1;
inline constexpr int k_lock_ex = 2;
inline constexpr int k_lock_nb = 4;
inline constexpr int k_lock_un = 8;

inline constexpr int k_seek_set = 0;
inline constexpr int k_seek_cur = 1;
inline constexpr int k_seek_end = 2;
inline constexpr int k_seek_data = 3;
inline constexpr int k_seek_hole = 4;

inline constexpr u32 k_fionread = 0x541b;
inline constexpr u32 k_fionbio = 0x5421;
inline constexpr u32 k_fionclex = 0x5450;
inline constexpr u32 k_fioclex = 0x5451;
inline constexpr u32 k_fioasync = 0x5452;

inline constexpr usize k_iov_max = 1024;
inline constexpr usize k_path_max = 4096;
inline constexpr usize k_name_max = 255;
/// Most that one read or write moves (MAX_RW_COUNT).
inline constexpr usize k_max_transfer = 0x7fff'f000;

inline constexpr u32 k_pollin = 0x1;
inline constexpr u32 k_pollpri = 0x2;
inline constexpr u32 k_pollout = 0x4;
inline constexpr u32 k_pollerr = 0x8;
inline constexpr u32 k_pollhup = 0x10;
inline constexpr u32 k_pollnval = 0x20;
inline constexpr u32 k_pollrdnorm = 0x40;
inline constexpr u32 k_pollwrnorm = 0x100;
inline constexpr u32 k_pollrdhup = 0x2000;

using EpollEvent = native::EpollEvent;
inline constexpr int k_epoll_ctl_add = 1;
inline constexpr int k_epoll_ctl_del = 2;
inline constexpr int k_epoll_ctl_mod = 3;
inline constexpr u32 k_epollexclusive = 1u << 28;
inline constexpr u32 k_epollwakeup = 1u << 29;
inline constexpr u32 k_epolloneshot = 1u << 30;
inline constexpr u32 k_epollet = 1u << 31;

struct PollFd {
    i32 fd { 0 };
    u16 events { 0 };
    u16 returned { 0 };
};

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

/// struct statfs; block counts in units of block_size.
struct StatFs {
    i64 type { 0 };
    i64 block_size { 0 };
    u64 blocks { 0 };
    u64 free_blocks { 0 };
    u64 available_blocks { 0 };
    u64 files { 0 };
    u64 free_files { 0 };
    u64 id { 0 };
    i64 name_length { 255 };
    i64 fragment_size { 0 };
    i64 flags { 0 };
    i64 spare[4] {};
};
static_assert(sizeof(StatFs) == 120);

struct StatxTime {
    i64 seconds { 0 };
    u32 nanoseconds { 0 };
    i32 padding { 0 };
};

/// struct statx.
struct Statx {
    u32 mask { 0 };
    u32 block_size { 0 };
    u64 attributes { 0 };
    u32 link_count { 0 };
    u32 uid { 0 };
    u32 gid { 0 };
    u16 mode { 0 };
    u16 padding { 0 };
    u64 inode { 0 };
    u64 size { 0 };
    u64 blocks { 0 };
    u64 attributes_mask { 0 };
    StatxTime access_time {};
    StatxTime birth_time {};
    StatxTime change_time {};
    StatxTime modify_time {};
    u32 special_major { 0 };
    u32 special_minor { 0 };
    u32 device_major { 0 };
    u32 device_minor { 0 };
    u64 mount_id { 0 };
    u32 direct_memory_alignment { 0 };
    u32 direct_offset_alignment { 0 };
    u64 spare[12] {};
};
static_assert(sizeof(Statx) == 256);

struct OpenHow {
    u64 flags { 0 };
    u64 mode { 0 };
    u64 resolve { 0 };
};

inline constexpr u64 k_resolve_no_xdev = 1;
inline constexpr u64 k_resolve_no_magiclinks = 2;
inline constexpr u64 k_resolve_no_symlinks = 4;
inline constexpr u64 k_resolve_beneath = 8;
inline constexpr u64 k_resolve_in_root = 16;
inline constexpr u64 k_resolve_cached = 32;

inline constexpr int k_at_fdcwd = -100;
inline constexpr u32 k_at_symlink_nofollow = 0x100;
inline constexpr u32 k_at_removedir = 0x200;
inline constexpr u32 k_at_eaccess = 0x200;
inline constexpr u32 k_at_symlink_follow = 0x400;
inline constexpr u32 k_at_no_automount = 0x800;
inline constexpr u32 k_at_empty_path = 0x1000;

inline constexpr i64 k_utime_now = 0x3fff'ffff;
inline constexpr i64 k_utime_omit = 0x3fff'fffe;

inline constexpr u32 k_rename_noreplace = 1;
inline constexpr u32 k_rename_exchange = 2;
inline constexpr u32 k_rename_whiteout = 4;

inline constexpr int k_falloc_keep_size = 1;
inline constexpr int k_falloc_punch_hole = 2;
inline constexpr int k_falloc_zero_range = 16;

inline constexpr u32 k_s_ifmt = 0170000;
inline constexpr u32 k_s_ifsock = 0140000;
inline constexpr u32 k_s_iflnk = 0120000;
inline constexpr u32 k_s_ifreg = 0100000;
inline constexpr u32 k_s_ifblk = 0060000;
inline constexpr u32 k_s_ifdir = 0040000;
inline constexpr u32 k_s_ifchr = 0020000;
inline constexpr u32 k_s_ififo = 0010000;

} // namespace eremite::abi
