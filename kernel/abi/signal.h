// Linux's structures and constants of signals, the same on both architectures.
// uapi/asm-generic/{signal.h,siginfo.h,signal-defs.h}; the kernel's struct sigaction has the restorer third on x86_64
// and aarch64 alike.
#pragma once

#include "base/types.h"
#include <array>

namespace eremite::abi {

inline constexpr int k_sighup = 1;
inline constexpr int k_sigint = 2;
inline constexpr int k_sigquit = 3;
inline constexpr int k_sigill = 4;
inline constexpr int k_sigtrap = 5;
inline constexpr int k_sigabrt = 6;
inline constexpr int k_sigbus = 7;
inline constexpr int k_sigfpe = 8;
inline constexpr int k_sigkill = 9;
inline constexpr int k_sigusr1 = 10;
inline constexpr int k_sigsegv = 11;
inline constexpr int k_sigusr2 = 12;
inline constexpr int k_sigpipe = 13;
inline constexpr int k_sigalrm = 14;
inline constexpr int k_sigterm = 15;
inline constexpr int k_sigstkflt = 16;
inline constexpr int k_sigchld = 17;
inline constexpr int k_sigcont = 18;
inline constexpr int k_sigstop = 19;
inline constexpr int k_sigtstp = 20;
inline constexpr int k_sigttin = 21;
inline constexpr int k_sigttou = 22;
inline constexpr int k_sigurg = 23;
inline constexpr int k_sigxcpu = 24;
inline constexpr int k_sigxfsz = 25;
inline constexpr int k_sigvtalrm = 26;
inline constexpr int k_sigprof = 27;
inline constexpr int k_sigwinch = 28;
inline constexpr int k_sigio = 29;
inline constexpr int k_sigpwr = 30;
inline constexpr int k_sigsys = 31;
inline constexpr int k_sigrtmin = 32;
inline constexpr int k_sigmax = 64;
/// What musl cancels threads with.
inline constexpr int k_sigcancel = 33;

inline constexpr u64 k_sig_default = 0;
inline constexpr u64 k_sig_ignore = 1;

inline constexpr u64 k_sa_nocldstop = 1;
inline constexpr u64 k_sa_siginfo = 4;
inline constexpr u64 k_sa_restorer = 0x0400'0000;
inline constexpr u64 k_sa_onstack = 0x0800'0000;
inline constexpr u64 k_sa_restart = 0x1000'0000;
inline constexpr u64 k_sa_nodefer = 0x4000'0000;
inline constexpr u64 k_sa_resethand = 0x8000'0000;

inline constexpr int k_sig_block = 0;
inline constexpr int k_sig_unblock = 1;
inline constexpr int k_sig_setmask = 2;

inline constexpr int k_ss_onstack = 1;
inline constexpr int k_ss_disable = 2;
inline constexpr u64 k_minsigstksz = 2048;

inline constexpr int k_si_user = 0;
inline constexpr int k_si_kernel = 0x80;
inline constexpr int k_si_queue = -1;
inline constexpr int k_si_timer = -2;
inline constexpr int k_si_tkill = -6;
inline constexpr int k_segv_maperr = 1;
inline constexpr int k_segv_accerr = 2;
inline constexpr int k_segv_pkuerr = 4;
inline constexpr int k_segv_cperr = 10;
inline constexpr int k_bus_adraln = 1;
inline constexpr int k_bus_adrerr = 2;
inline constexpr int k_ill_illopn = 2;
inline constexpr int k_fpe_intdiv = 1;
inline constexpr int k_fpe_fltinv = 7;
inline constexpr int k_trap_brkpt = 1;
inline constexpr int k_trap_trace = 2;

/// struct sigaction as rt_sigaction takes it.
struct SignalAction {
    u64 handler { 0 };
    u64 flags { 0 };
    u64 restorer { 0 };
    u64 mask { 0 };
};

struct SignalStack {
    u64 pointer { 0 };
    i32 flags { 0 };
    u64 size { 0 };
};
static_assert(sizeof(SignalStack) == 24);

/// siginfo_t: what of its union we fill.
struct SignalInfo {
    i32 number { 0 };
    i32 error { 0 };
    i32 code { 0 };
    i32 padding { 0 };
    union Fields {
        struct {
            i32 pid;
            i32 uid;
            u64 value;
        } sender; // kill, tgkill, sigqueue
        struct {
            i32 id;
            i32 overrun;
            u64 value;
        } timer;
        struct {
            u64 address;
            u64 address_lsb; // an i16, and padding
            u32 key;
        } fault;
        std::array<u64, 14> all;
        constexpr Fields()
            : all {}
        {
        }
    } fields {};
};
static_assert(sizeof(SignalInfo) == 128);

/// struct sigevent.
struct SignalEvent {
    u64 value { 0 };
    i32 number { 0 };
    i32 notify { 0 };
    i32 thread_id { 0 };
    std::array<i32, 11> padding {};
};
static_assert(sizeof(SignalEvent) == 64);
inline constexpr int k_sigev_signal = 0;
inline constexpr int k_sigev_none = 1;
inline constexpr int k_sigev_thread = 2;
inline constexpr int k_sigev_thread_id = 4;

/// struct signalfd_siginfo.
struct SignalFdInfo {
    u32 number { 0 };
    i32 error { 0 };
    i32 code { 0 };
    u32 pid { 0 };
    u32 uid { 0 };
    i32 fd { 0 };
    u32 timer_id { 0 };
    u32 band { 0 };
    u32 overrun { 0 };
    u32 trap_number { 0 };
    i32 status { 0 };
    i32 integer { 0 };
    u64 pointer { 0 };
    u64 user_time { 0 };
    u64 system_time { 0 };
    u64 address { 0 };
    std::array<u8, 48> padding {};
};
static_assert(sizeof(SignalFdInfo) == 128);

} // namespace eremite::abi
