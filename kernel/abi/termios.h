// Linux's terminal structures and constants (uapi/asm-generic/{termbits,ioctls}.h), the same on both architectures.
#pragma once

#include "base/types.h"
#include <array>

namespace eremite::abi {

inline constexpr u32 k_tcgets = 0x5401;
inline constexpr u32 k_tcsets = 0x5402;
inline constexpr u32 k_tcsetsw = 0x5403;
inline constexpr u32 k_tcsetsf = 0x5404;
inline constexpr u32 k_tcsbrk = 0x5409;
inline constexpr u32 k_tcxonc = 0x540a;
inline constexpr u32 k_tcflsh = 0x540b;
inline constexpr u32 k_tiocsctty = 0x540e;
inline constexpr u32 k_tiocgpgrp = 0x540f;
inline constexpr u32 k_tiocspgrp = 0x5410;
inline constexpr u32 k_tiocoutq = 0x5411;
inline constexpr u32 k_tiocgwinsz = 0x5413;
inline constexpr u32 k_tiocswinsz = 0x5414;
inline constexpr u32 k_tiocgsid = 0x5429;

// c_iflag
inline constexpr u32 k_istrip = 000040;
inline constexpr u32 k_inlcr = 000100;
inline constexpr u32 k_igncr = 000200;
inline constexpr u32 k_icrnl = 000400;
// c_oflag
inline constexpr u32 k_opost = 000001;
inline constexpr u32 k_onlcr = 000004;
// c_cflag
inline constexpr u32 k_b38400 = 000017;
inline constexpr u32 k_cs8 = 000060;
inline constexpr u32 k_cread = 000200;
// c_lflag
inline constexpr u32 k_isig = 000001;
inline constexpr u32 k_icanon = 000002;
inline constexpr u32 k_echo = 000010;
inline constexpr u32 k_echoe = 000020;
inline constexpr u32 k_echok = 000040;
inline constexpr u32 k_echonl = 000100;
inline constexpr u32 k_echoctl = 001000;
inline constexpr u32 k_iexten = 0100000;
// c_cc
inline constexpr unsigned k_vintr = 0;
inline constexpr unsigned k_vquit = 1;
inline constexpr unsigned k_verase = 2;
inline constexpr unsigned k_vkill = 3;
inline constexpr unsigned k_veof = 4;
inline constexpr unsigned k_vtime = 5;
inline constexpr unsigned k_vmin = 6;
inline constexpr unsigned k_veol = 11;
inline constexpr unsigned k_vwerase = 14;

/// The kernel's struct termios, as TCGETS has it.
struct Termios {
    u32 input_flags { 0 };
    u32 output_flags { 0 };
    u32 control_flags { 0 };
    u32 local_flags { 0 };
    u8 line { 0 };
    std::array<u8, 19> characters {};
};
static_assert(sizeof(Termios) == 36);

struct WindowSize {
    u16 rows { 0 };
    u16 columns { 0 };
    u16 width_pixels { 0 };
    u16 height_pixels { 0 };
};

} // namespace eremite::abi
