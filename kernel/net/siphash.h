// SipHash-2-4 (Aumasson, Bernstein 2012): a keyed hash that an outsider cannot predict, for sequence numbers, ports and
// SYN cookies; and a cheaper keyed mix for hash tables, which only has to be hard to flood.
#pragma once

#include "base/types.h"
#include <array>
#include <span>

namespace eremite::net {

using HashKey = std::array<u64, 2>;

/// SipHash-2-4 of a sequence of 64-bit words (as their little-endian bytes).
u64 siphash(const HashKey& key, std::span<const u64> words);

/// Two rounds of multiply and fold of 128-bit products, keyed.
inline u64 mix(const HashKey& key, u64 a, u64 b, u64 c)
{
    auto fold = [](u64 x, u64 y) {
        auto product = static_cast<unsigned __int128>(x) * y;
        return static_cast<u64>(product) ^ static_cast<u64>(product >> 64);
    };
    u64 first = fold(a ^ key[0], b ^ 0x9e37'79b9'7f4a'7c15);
    return fold(first ^ c, key[1] | 1);
}

} // namespace eremite::net
