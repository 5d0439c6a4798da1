// Sequence numbers: arithmetic modulo 2^32 (RFC 9293, 3.4).
#pragma once

#include "base/types.h"

namespace eremite::net {

constexpr bool seq_less(u32 a, u32 b)
{
    return static_cast<i32>(a - b) < 0;
}
constexpr bool seq_at_most(u32 a, u32 b)
{
    return static_cast<i32>(a - b) <= 0;
}
constexpr u32 seq_max(u32 a, u32 b)
{
    return seq_less(a, b) ? b : a;
}
constexpr u32 seq_min(u32 a, u32 b)
{
    return seq_less(a, b) ? a : b;
}

/// Half-open range of sequence numbers.
struct SequenceRange {
    u32 start { 0 };
    u32 end { 0 };

    constexpr bool is_empty() const { return start == end; }
    constexpr bool operator==(const SequenceRange&) const = default;
};

} // namespace eremite::net
