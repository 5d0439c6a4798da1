// What the layers above IP learn of a packet that came in, and say of one that goes out.
#pragma once

#include "net/headers.h"

namespace eremite::net {

class Interface;

/// A packet for us. It begins with its IP header; the transport header follows after `header_length` bytes.
struct IpInfo {
    Interface* interface { nullptr };
    IpAddress source {};
    IpAddress destination {};
    Protocol protocol {};
    u8 hop_limit { 0 };
    u8 traffic_class { 0 };
    u16 header_length { 0 };
    /// Sent to several: broadcast or multicast.
    bool to_many { false };
};

struct IpOutput {
    Protocol protocol {};
    u8 hop_limit { 64 };
    u8 traffic_class { 0 };
    bool dont_fragment { false };
};

/// What an ICMP error says, in terms common to both versions.
enum class IcmpError : u8 {
    NetworkUnreachable,
    HostUnreachable,
    ProtocolUnreachable,
    PortUnreachable,
    TooBig,
    Prohibited,
    TimeExceeded,
    BadHeader,
};

constexpr Errno errno_of(IcmpError error)
{
    switch (error) {
    case IcmpError::NetworkUnreachable:
        return Errno::ENETUNREACH;
    case IcmpError::ProtocolUnreachable:
        return Errno::ENOPROTOOPT;
    case IcmpError::PortUnreachable:
        return Errno::ECONNREFUSED;
    case IcmpError::TooBig:
        return Errno::EMSGSIZE;
    case IcmpError::BadHeader:
        return Errno::EPROTO;
    case IcmpError::HostUnreachable:
    case IcmpError::Prohibited:
    case IcmpError::TimeExceeded:
        break;
    }
    return Errno::EHOSTUNREACH;
}

/// An ICMP error about a packet that we sent from `local` to `remote`.
struct IcmpReport {
    IcmpError error {};
    IpAddress local {};
    IpAddress remote {};
    Protocol protocol {};
    /// First 8 bytes of the transport header that the error quotes.
    std::array<u8, 8> transport {};
    u32 mtu { 0 };
};

} // namespace eremite::net
