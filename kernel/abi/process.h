// Linux's structures and constants of processes, threads, resources and time, the same on both architectures.
// uapi/linux/{sched.h,futex.h,resource.h,utsname.h,prctl.h,sysinfo.h,time.h,times.h,membarrier.h}.
#pragma once

#include "abi/fs.h"
#include "base/types.h"
#include <array>

namespace eremite::abi {

inline constexpr u64 k_clone_vm = 0x100;
inline constexpr u64 k_clone_fs = 0x200;
inline constexpr u64 k_clone_files = 0x400;
inline constexpr u64 k_clone_sighand = 0x800;
inline constexpr u64 k_clone_thread = 0x10000;
inline constexpr u64 k_clone_sysvsem = 0x40000;
inline constexpr u64 k_clone_settls = 0x80000;
inline constexpr u64 k_clone_parent_settid = 0x10'0000;
inline constexpr u64 k_clone_child_cleartid = 0x20'0000;
inline constexpr u64 k_clone_detached = 0x40'0000;
inline constexpr u64 k_clone_child_settid = 0x100'0000;

inline constexpr int k_futex_wait = 0;
inline constexpr int k_futex_wake = 1;
inline constexpr int k_futex_requeue = 3;
inline constexpr int k_futex_cmp_requeue = 4;
inline constexpr int k_futex_wake_op = 5;
inline constexpr int k_futex_wait_bitset = 9;
inline constexpr int k_futex_wake_bitset = 10;
inline constexpr int k_futex_private_flag = 128;
inline constexpr int k_futex_clock_realtime = 256;
inline constexpr u32 k_futex_bitset_match_any = 0xffff'ffff;
inline constexpr u32 k_futex_waiters = 0x8000'0000;
inline constexpr u32 k_futex_owner_died = 0x4000'0000;
inline constexpr u32 k_futex_tid_mask = 0x3fff'ffff;

/// struct robust_list_head.
struct RobustListHead {
    u64 next { 0 };
    i64 futex_offset { 0 };
    u64 pending { 0 };
};

struct ResourceLimit {
    u64 soft { 0 };
    u64 hard { 0 };
};
inline constexpr u64 k_rlim_infinity = ~u64 { 0 };
inline constexpr u32 k_rlimit_cpu = 0;
inline constexpr u32 k_rlimit_fsize = 1;
inline constexpr u32 k_rlimit_data = 2;
inline constexpr u32 k_rlimit_stack = 3;
inline constexpr u32 k_rlimit_core = 4;
inline constexpr u32 k_rlimit_nproc = 6;
inline constexpr u32 k_rlimit_nofile = 7;
inline constexpr u32 k_rlimit_memlock = 8;
inline constexpr u32 k_rlimit_as = 9;
inline constexpr u32 k_rlimit_sigpending = 11;
inline constexpr u32 k_rlimit_msgqueue = 12;
inline constexpr u32 k_rlimit_nice = 13;
inline constexpr u32 k_rlimit_rtprio = 14;
inline constexpr u32 k_rlimit_count = 16;

struct ResourceUsage {
    TimeVal user_time {};
    TimeVal system_time {};
    i64 maximum_resident { 0 }; // KiB
    std::array<i64, 3> unused {};
    i64 minor_faults { 0 };
    i64 major_faults { 0 };
    i64 swaps { 0 };
    i64 blocks_in { 0 };
    i64 blocks_out { 0 };
    std::array<i64, 3> messages {};
    i64 voluntary_switches { 0 };
    i64 involuntary_switches { 0 };
};
static_assert(sizeof(ResourceUsage) == 144);

struct SystemInfo {
    i64 uptime { 0 };
    std::array<u64, 3> loads {}; // times 65536
    u64 total_memory { 0 };
    u64 free_memory { 0 };
    u64 shared_memory { 0 };
    u64 buffer_memory { 0 };
    u64 total_swap { 0 };
    u64 free_swap { 0 };
    u16 processes { 0 };
    u64 total_high { 0 };
    u64 free_high { 0 };
    u32 memory_unit { 0 };
};
static_assert(sizeof(SystemInfo) == 112);

struct UtsName {
    std::array<char, 65> system {};
    std::array<char, 65> node {};
    std::array<char, 65> release {};
    std::array<char, 65> version {};
    std::array<char, 65> machine {};
    std::array<char, 65> domain {};
};

struct ProcessTimes {
    i64 user { 0 };
    i64 system { 0 };
    i64 children_user { 0 };
    i64 children_system { 0 };
};
inline constexpr i64 k_clock_ticks = 100; // of times(2), in a second

struct IntervalTimerSpec {
    TimeSpec interval {};
    TimeSpec value {};
};
struct IntervalTimerVal {
    TimeVal interval {};
    TimeVal value {};
};

inline constexpr int k_clock_realtime = 0;
inline constexpr int k_clock_monotonic = 1;
inline constexpr int k_clock_process_cputime = 2;
inline constexpr int k_clock_thread_cputime = 3;
inline constexpr int k_clock_monotonic_raw = 4;
inline constexpr int k_clock_realtime_coarse = 5;
inline constexpr int k_clock_monotonic_coarse = 6;
inline constexpr int k_clock_boottime = 7;
inline constexpr int k_clock_realtime_alarm = 8;
inline constexpr int k_clock_boottime_alarm = 9;
inline constexpr int k_clock_tai = 11;
inline constexpr int k_timer_abstime = 1;
inline constexpr int k_tfd_timer_abstime = 1;
inline constexpr int k_tfd_timer_cancel_on_set = 2;

inline constexpr int k_pr_set_pdeathsig = 1;
inline constexpr int k_pr_get_dumpable = 3;
inline constexpr int k_pr_set_dumpable = 4;
inline constexpr int k_pr_set_name = 15;
inline constexpr int k_pr_get_name = 16;
inline constexpr int k_pr_get_seccomp = 21;
inline constexpr int k_pr_set_timerslack = 29;
inline constexpr int k_pr_get_timerslack = 30;
inline constexpr int k_pr_set_no_new_privs = 38;
inline constexpr int k_pr_get_no_new_privs = 39;
inline constexpr int k_pr_set_thp_disable = 41;
inline constexpr int k_pr_get_thp_disable = 42;
inline constexpr int k_pr_set_vma = 0x53564d41;

} // namespace eremite::abi
