// On arch `host` threads are the C library's: no context of ours is ever switched.
#pragma once

namespace eremite::arch {

inline constexpr u64 k_call_pushes = 8;

} // namespace eremite::arch
