// The ChaCha20 block function (RFC 8439, 2.3). Scalar: it also runs where vector registers are not the kernel's to use.
#pragma once

#include "base/types.h"
#include <array>
#include <span>

namespace eremite {

using ChaChaKey = std::array<u32, 8>;

/// 64 bytes of key stream, as 16 little-endian words. `counter` is the 32-bit block counter and `nonce` 96 bits.
std::array<u32, 16> chacha20_block(const ChaChaKey& key, u32 counter, const std::array<u32, 3>& nonce);

} // namespace eremite
