// The Internet checksum (RFC 1071), over bytes and over packets.
#pragma once

#include "device/packet.h"
#include "net/headers.h"

namespace eremite::net {

/// A ones'-complement sum under way. Sums are of 16-bit words in memory order, so the result is stored without
/// swapping.
class Checksum {
public:
    constexpr Checksum() = default;
    /// Adds bytes; an odd number only as the last.
    void add(std::span<const u8> bytes) { add_wide(sum_of(bytes)); }
    /// Adds a 16-bit number given in host order.
    void add16(u16 value) { add_wide(Be16(value).raw()); }
    void add32(u32 value) { add_wide(Be32(value).raw()); }
    void add(IpAddress address)
    {
        if (address.is_v4()) {
            add32(address.as_v4());
        } else {
            add_wide(Be64(address.high()).raw());
            add_wide(Be64(address.low()).raw());
        }
    }
    /// The pseudo-header of TCP, UDP and ICMPv6 (RFC 9293, 3.1; RFC 8200, 8.1).
    void add_pseudo_header(IpAddress source, IpAddress destination, Protocol protocol, u32 length)
    {
        add(source);
        add(destination);
        add32(length);
        add16(static_cast<u16>(protocol));
    }
    /// The bytes [offset, offset + length) of a packet, across its fragments.
    void add(Packet& packet, u32 offset, u32 length);

    /// The folded sum, in memory order, not complemented: what stands in a checksum field that the device completes.
    u16 partial() const
    {
        u64 sum = (m_sum & 0xffffffff) + (m_sum >> 32);
        sum = (sum & 0xffff) + (sum >> 16);
        sum = (sum & 0xffff) + (sum >> 16);
        sum = (sum & 0xffff) + (sum >> 16);
        return static_cast<u16>(sum);
    }
    /// What to store. Be16::from_raw() of it.
    Be16 finish() const { return Be16::from_raw(static_cast<u16>(~partial())); }
    /// Whether a range that contains its checksum is intact.
    bool is_valid() const { return partial() == 0xffff; }

private:
    void add_wide(u64 value)
    {
        u64 sum;
        m_sum = __builtin_add_overflow(m_sum, value, &sum) ? sum + 1 : sum;
    }
    static u64 sum_of(std::span<const u8> bytes);
    u64 m_sum { 0 };
};

/// The checksum of an IPv4 header or an ICMP message.
inline Be16 checksum_of(std::span<const u8> bytes)
{
    Checksum sum;
    sum.add(bytes);
    return sum.finish();
}

} // namespace eremite::net
