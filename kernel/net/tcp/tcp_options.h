// The options of TCP segments (RFC 9293 3.2, RFC 7323, RFC 2018).
#pragma once

#include "net/tcp/sequence.h"
#include "net/wire.h"
#include <optional>

namespace eremite::net {

struct TcpTimestamps {
    u32 value { 0 };
    u32 echo { 0 };
};

/// How timestamps usually stand there: aligned by two bytes of padding, and alone.
struct TcpTimestampsOption {
    static constexpr std::array<u8, 4> k_start { 1, 1, 8, 10 };
    std::array<u8, 4> start { k_start };
    Be32 value {};
    Be32 echo {};
};
static_assert(sizeof(TcpTimestampsOption) == 12);

/// What a segment carries; absent options are empty.
struct TcpOptions {
    static constexpr usize k_max_sack_blocks = 4;
    static constexpr usize k_max_length = 40;

    std::optional<u16> mss {};
    std::optional<u8> window_scale {};
    bool sack_permitted { false };
    std::optional<TcpTimestamps> timestamps {};
    std::array<SequenceRange, k_max_sack_blocks> sack {};
    u8 sack_count { 0 };

    /// Malformed options end the parsing; what came before them counts (RFC 9293, MUST-7).
    static TcpOptions parse(std::span<const u8> bytes);
    /// Writes them padded to a multiple of four; returns the length. SACK blocks that don't fit are left out.
    usize write(std::span<u8, k_max_length> bytes) const;
};

} // namespace eremite::net
