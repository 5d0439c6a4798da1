// The headers of a TCP segment in an IPv4 packet without options in an Ethernet frame, in one piece: what nearly all
// segments that come and go have, and what the short ways of both directions read and write at once.
#pragma once

#include "net/headers.h"
#include "net/tcp/tcp_options.h"

namespace eremite::net {

struct TcpFrame4 {
    static constexpr u8 k_version_and_length = 0x45;
    EthernetHeader ethernet;
    Ipv4Header ip;
    TcpHeader tcp;

    /// Bytes before the IP and the TCP header.
    static constexpr u32 k_ip = sizeof(EthernetHeader);
    static constexpr u32 k_tcp = k_ip + sizeof(Ipv4Header);
};
static_assert(sizeof(TcpFrame4) == 54 && alignof(TcpFrame4) == 1);

/// The ones'-complement sum of an IPv4 header without options, folded: 0xffff if it includes a good checksum.
inline u16 sum_of(const Ipv4Header& header)
{
    u64 sum = 0;
    for (u32 word : std::bit_cast<std::array<u32, sizeof(Ipv4Header) / sizeof(u32)>>(header))
        sum += word;
    sum = (sum & 0xffff'ffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<u16>((sum & 0xffff) + (sum >> 16));
}

/// A segment as prediction looks at it: what stands in its headers, and its payload where the device put it.
struct TcpArrival {
    const TcpHeader& header;
    /// Null if there are no options.
    const TcpTimestampsOption* timestamps { nullptr };
    std::span<const u8> payload;
};

} // namespace eremite::net
