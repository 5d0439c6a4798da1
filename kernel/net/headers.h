// The headers of Ethernet, ARP, IPv4, IPv6, ICMP, UDP and TCP, as they lie on the wire.
#pragma once

#include "device/net_device.h"
#include "net/ip_address.h"
#include "net/wire.h"

namespace eremite::net {

inline constexpr u16 k_ethertype_ipv4 = 0x0800;
inline constexpr u16 k_ethertype_arp = 0x0806;
inline constexpr u16 k_ethertype_ipv6 = 0x86dd;

struct EthernetHeader {
    MacBytes destination;
    MacBytes source;
    Be16 type;
};
static_assert(sizeof(EthernetHeader) == 14);

/// RFC 826, for Ethernet and IPv4.
struct ArpMessage {
    static constexpr u16 k_request = 1;
    static constexpr u16 k_reply = 2;
    Be16 hardware_type;
    Be16 protocol_type;
    u8 hardware_length;
    u8 protocol_length;
    Be16 operation;
    MacBytes sender_mac;
    Be32 sender_ip;
    MacBytes target_mac;
    Be32 target_ip;
};
static_assert(sizeof(ArpMessage) == 28);

enum class Protocol : u8 {
    HopByHop = 0,
    Icmp = 1,
    Igmp = 2,
    Tcp = 6,
    Udp = 17,
    Routing = 43,
    Fragment = 44,
    Icmpv6 = 58,
    NoNext = 59,
    DestinationOptions = 60,
};

struct Ipv4Header {
    static constexpr u16 k_dont_fragment = 0x4000;
    static constexpr u16 k_more_fragments = 0x2000;
    static constexpr u16 k_offset_mask = 0x1fff;
    u8 version_and_length;
    u8 traffic_class;
    Be16 total_length;
    Be16 identification;
    Be16 fragment;
    u8 ttl;
    Protocol protocol;
    Be16 checksum;
    Be32 source;
    Be32 destination;

    usize header_length() const { return (version_and_length & 15u) * 4u; }
};
static_assert(sizeof(Ipv4Header) == 20);

struct Ipv6Header {
    Be32 version_class_flow;
    Be16 payload_length;
    Protocol next_header;
    u8 hop_limit;
    WireAddress source;
    WireAddress destination;

    u8 traffic_class() const { return static_cast<u8>(version_class_flow >> 20); }
};
static_assert(sizeof(Ipv6Header) == 40);

struct Ipv6Fragment {
    Protocol next_header;
    u8 reserved;
    Be16 offset_and_more;
    Be32 identification;
};

struct UdpHeader {
    Be16 source_port;
    Be16 destination_port;
    Be16 length;
    Be16 checksum;
};

struct IcmpHeader {
    u8 type;
    u8 code;
    Be16 checksum;
    /// Identifier and sequence of an echo, next-hop MTU of "too big", and so on.
    Be16 first;
    Be16 second;
};

struct TcpHeader {
    static constexpr u8 k_fin = 1;
    static constexpr u8 k_syn = 2;
    static constexpr u8 k_rst = 4;
    static constexpr u8 k_psh = 8;
    static constexpr u8 k_ack = 16;
    static constexpr u8 k_urg = 32;
    Be16 source_port;
    Be16 destination_port;
    Be32 sequence;
    Be32 acknowledgment;
    u8 data_offset;
    u8 flags;
    Be16 window;
    Be16 checksum;
    Be16 urgent;

    usize header_length() const { return (data_offset >> 4) * 4u; }
};
static_assert(sizeof(TcpHeader) == 20);

} // namespace eremite::net
