// IPv4 and IPv6 addresses as one type: an IPv4 address is held as IPv6's mapped form, ::ffff:a.b.c.d, as dual-stack
// sockets show it.
#pragma once

#include "base/format.h"
#include "net/wire.h"
#include <optional>
#include <string_view>

namespace eremite::net {

/// 16 bytes of address on the wire.
using WireAddress = std::array<u8, 16>;

class IpAddress {
public:
    /// :: (unspecified IPv6).
    constexpr IpAddress() = default;
    static constexpr IpAddress v4(u32 address) { return IpAddress(0, 0xffff'0000'0000 | address); }
    static constexpr IpAddress v4(u8 a, u8 b, u8 c, u8 d)
    {
        return v4(u32 { a } << 24 | u32 { b } << 16 | u32 { c } << 8 | d);
    }
    static constexpr IpAddress v6(u64 high, u64 low) { return IpAddress(high, low); }
    static IpAddress from_wire(const WireAddress& bytes)
    {
        auto halves = std::bit_cast<std::array<Be64, 2>>(bytes);
        return IpAddress(halves[0], halves[1]);
    }
    /// "10.0.0.1", "fe80::1", "::ffff:10.0.0.1".
    static std::optional<IpAddress> parse(std::string_view text);

    constexpr u64 high() const { return m_high; }
    constexpr u64 low() const { return m_low; }
    WireAddress to_wire() const { return std::bit_cast<WireAddress>(std::array<Be64, 2> { m_high, m_low }); }
    constexpr bool is_v4() const { return m_high == 0 && (m_low >> 32) == 0xffff; }
    constexpr bool is_v6() const { return !is_v4(); }
    constexpr u32 as_v4() const { return static_cast<u32>(m_low); }
    constexpr bool is_unspecified() const { return is_v4() ? as_v4() == 0 : (m_high | m_low) == 0; }
    constexpr bool is_loopback() const { return is_v4() ? (as_v4() >> 24) == 127 : m_high == 0 && m_low == 1; }
    constexpr bool is_multicast() const { return is_v4() ? (as_v4() >> 28) == 14 : (m_high >> 56) == 0xff; }
    constexpr bool is_limited_broadcast() const { return is_v4() && as_v4() == 0xffffffff; }
    constexpr bool is_link_local() const { return is_v4() ? (as_v4() >> 16) == 0xa9fe : (m_high >> 54) == 0x3fa; }
    /// ff01::/16 and ff02::/16, or 224.0.0.0/24: never leaves the link.
    constexpr bool is_link_local_multicast() const
    {
        return is_v4() ? (as_v4() >> 8) == 0xe00000 : (m_high >> 48) == 0xff02 || (m_high >> 48) == 0xff01;
    }
    /// Whether the first `prefix` bits agree (of 32 for IPv4, of 128 for IPv6).
    bool matches(IpAddress network, unsigned prefix) const;
    /// The solicited-node multicast address of an IPv6 address (RFC 4291, 2.7.1).
    constexpr IpAddress solicited_node() const
    {
        return v6(0xff02'0000'0000'0000, 0x1'ff00'0000 | (m_low & 0xff'ffff));
    }
    constexpr auto operator<=>(const IpAddress&) const = default;

private:
    constexpr IpAddress(u64 high, u64 low)
        : m_high(high)
        , m_low(low)
    {
    }
    u64 m_high { 0 };
    u64 m_low { 0 };
};

/// An address as text, for logs: AddressText(address) is a string view that lives with it.
class AddressText {
public:
    explicit AddressText(IpAddress address);
    operator std::string_view() const { return { m_text.data(), m_length }; }
    operator FormatArgument() const { return FormatArgument(static_cast<std::string_view>(*this)); }

private:
    std::array<char, 48> m_text;
    usize m_length { 0 };
};

/// An address with a port; `interface` is the scope of a link-local address (0: any).
struct Endpoint {
    IpAddress address {};
    u16 port { 0 };
    u32 interface { 0 };

    constexpr bool operator==(const Endpoint&) const = default;
};

} // namespace eremite::net
