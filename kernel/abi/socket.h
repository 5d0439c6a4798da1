// Linux's socket interface: the same numbers on x86_64 and aarch64.
// uapi/linux/{socket,in,in6,tcp,udp,un,if}.h, uapi/asm-generic/{socket,sockios}.h, include/linux/socket.h.
#pragma once

#include "base/types.h"
#include <array>

namespace eremite::abi {

inline constexpr int k_af_unspec = 0;
inline constexpr int k_af_unix = 1;
inline constexpr int k_af_inet = 2;
inline constexpr int k_af_inet6 = 10;
inline constexpr int k_af_netlink = 16;
inline constexpr int k_af_packet = 17;

inline constexpr int k_sock_stream = 1;
inline constexpr int k_sock_dgram = 2;
inline constexpr int k_sock_raw = 3;
inline constexpr int k_sock_seqpacket = 5;
inline constexpr int k_sock_nonblock = 04000;
inline constexpr int k_sock_cloexec = 02000000;

inline constexpr int k_ipproto_ip = 0;
inline constexpr int k_ipproto_icmp = 1;
inline constexpr int k_ipproto_tcp = 6;
inline constexpr int k_ipproto_udp = 17;
inline constexpr int k_ipproto_ipv6 = 41;
inline constexpr int k_ipproto_icmpv6 = 58;
inline constexpr int k_ipproto_raw = 255;

inline constexpr u32 k_msg_oob = 1;
inline constexpr u32 k_msg_peek = 2;
inline constexpr u32 k_msg_dontroute = 4;
inline constexpr u32 k_msg_ctrunc = 8;
inline constexpr u32 k_msg_trunc = 0x20;
inline constexpr u32 k_msg_dontwait = 0x40;
inline constexpr u32 k_msg_eor = 0x80;
inline constexpr u32 k_msg_waitall = 0x100;
inline constexpr u32 k_msg_errqueue = 0x2000;
inline constexpr u32 k_msg_nosignal = 0x4000;
inline constexpr u32 k_msg_more = 0x8000;
inline constexpr u32 k_msg_waitforone = 0x10000;
inline constexpr u32 k_msg_cmsg_cloexec = 0x40000000;

inline constexpr int k_sol_socket = 1;
inline constexpr int k_sol_tcp = 6;
inline constexpr int k_sol_udp = 17;
inline constexpr int k_sol_ipv6 = 41;
inline constexpr int k_sol_icmpv6 = 58;
inline constexpr int k_sol_raw = 255;
inline constexpr int k_sol_netlink = 270;

inline constexpr int k_so_debug = 1;
inline constexpr int k_so_reuseaddr = 2;
inline constexpr int k_so_type = 3;
inline constexpr int k_so_error = 4;
inline constexpr int k_so_dontroute = 5;
inline constexpr int k_so_broadcast = 6;
inline constexpr int k_so_sndbuf = 7;
inline constexpr int k_so_rcvbuf = 8;
inline constexpr int k_so_keepalive = 9;
inline constexpr int k_so_oobinline = 10;
inline constexpr int k_so_priority = 12;
inline constexpr int k_so_linger = 13;
inline constexpr int k_so_reuseport = 15;
inline constexpr int k_so_passcred = 16;
inline constexpr int k_so_peercred = 17;
inline constexpr int k_so_rcvlowat = 18;
inline constexpr int k_so_sndlowat = 19;
inline constexpr int k_so_rcvtimeo = 20;
inline constexpr int k_so_sndtimeo = 21;
inline constexpr int k_so_bindtodevice = 25;
inline constexpr int k_so_timestamp = 29;
inline constexpr int k_so_acceptconn = 30;
inline constexpr int k_so_sndbufforce = 32;
inline constexpr int k_so_rcvbufforce = 33;
inline constexpr int k_so_timestampns = 35;
inline constexpr int k_so_protocol = 38;
inline constexpr int k_so_domain = 39;
inline constexpr int k_so_busy_poll = 46;
inline constexpr int k_so_incoming_cpu = 49;

inline constexpr int k_tcp_nodelay = 1;
inline constexpr int k_tcp_maxseg = 2;
inline constexpr int k_tcp_cork = 3;
inline constexpr int k_tcp_keepidle = 4;
inline constexpr int k_tcp_keepintvl = 5;
inline constexpr int k_tcp_keepcnt = 6;
inline constexpr int k_tcp_syncnt = 7;
inline constexpr int k_tcp_linger2 = 8;
inline constexpr int k_tcp_defer_accept = 9;
inline constexpr int k_tcp_window_clamp = 10;
inline constexpr int k_tcp_info = 11;
inline constexpr int k_tcp_quickack = 12;
inline constexpr int k_tcp_congestion = 13;
inline constexpr int k_tcp_user_timeout = 18;
inline constexpr int k_tcp_fastopen = 23;
inline constexpr int k_tcp_notsent_lowat = 25;

inline constexpr int k_udp_cork = 1;
inline constexpr int k_udp_segment = 103;
inline constexpr int k_udp_gro = 104;

inline constexpr int k_ip_tos = 1;
inline constexpr int k_ip_ttl = 2;
inline constexpr int k_ip_hdrincl = 3;
inline constexpr int k_ip_options = 4;
inline constexpr int k_ip_recvopts = 6;
inline constexpr int k_ip_pktinfo = 8;
inline constexpr int k_ip_mtu_discover = 10;
inline constexpr int k_ip_recverr = 11;
inline constexpr int k_ip_recvttl = 12;
inline constexpr int k_ip_recvtos = 13;
inline constexpr int k_ip_mtu = 14;
inline constexpr int k_ip_freebind = 15;
inline constexpr int k_ip_bind_address_no_port = 24;
inline constexpr int k_ip_multicast_if = 32;
inline constexpr int k_ip_multicast_ttl = 33;
inline constexpr int k_ip_multicast_loop = 34;
inline constexpr int k_ip_add_membership = 35;
inline constexpr int k_ip_drop_membership = 36;
inline constexpr int k_ip_multicast_all = 49;
inline constexpr int k_mcast_join_group = 42;
inline constexpr int k_mcast_leave_group = 45;

inline constexpr int k_ipv6_unicast_hops = 16;
inline constexpr int k_ipv6_multicast_if = 17;
inline constexpr int k_ipv6_multicast_hops = 18;
inline constexpr int k_ipv6_multicast_loop = 19;
inline constexpr int k_ipv6_join_group = 20;
inline constexpr int k_ipv6_leave_group = 21;
inline constexpr int k_ipv6_mtu_discover = 23;
inline constexpr int k_ipv6_mtu = 24;
inline constexpr int k_ipv6_recverr = 25;
inline constexpr int k_ipv6_v6only = 26;
inline constexpr int k_ipv6_recvpktinfo = 49;
inline constexpr int k_ipv6_pktinfo = 50;
inline constexpr int k_ipv6_recvhoplimit = 51;
inline constexpr int k_ipv6_hoplimit = 52;
inline constexpr int k_ipv6_recvtclass = 66;
inline constexpr int k_ipv6_tclass = 67;

inline constexpr int k_scm_rights = 1;
inline constexpr int k_scm_credentials = 2;

inline constexpr int k_shut_rd = 0;
inline constexpr int k_shut_wr = 1;
inline constexpr int k_shut_rdwr = 2;

struct SockaddrIn {
    u16 family;
    std::array<u8, 2> port;
    std::array<u8, 4> address;
    std::array<u8, 8> zero;
};

struct SockaddrIn6 {
    u16 family;
    std::array<u8, 2> port;
    u32 flow_info;
    std::array<u8, 16> address;
    u32 scope;
};

struct SockaddrUn {
    u16 family;
    std::array<char, 108> path;
};

struct MessageHeader {
    u64 name { 0 };
    u32 name_length { 0 };
    u32 padding1 { 0 };
    u64 vectors { 0 };
    u64 vector_count { 0 };
    u64 control { 0 };
    u64 control_length { 0 };
    u32 flags { 0 };
    u32 padding2 { 0 };
};
static_assert(sizeof(MessageHeader) == 56);

struct MultiMessageHeader {
    MessageHeader header;
    u32 length { 0 };
    u32 padding { 0 };
};
static_assert(sizeof(MultiMessageHeader) == 64);

struct ControlHeader {
    u64 length { 0 };
    i32 level { 0 };
    i32 type { 0 };
};

struct Linger {
    i32 enabled { 0 };
    i32 seconds { 0 };
};

struct PacketInfo {
    i32 interface { 0 };
    std::array<u8, 4> local {};
    std::array<u8, 4> address {};
};

struct PacketInfo6 {
    std::array<u8, 16> address {};
    u32 interface { 0 };
};

struct Credentials {
    i32 pid { 0 };
    u32 uid { 0 };
    u32 gid { 0 };
};

/// uapi/linux/tcp.h, as of Linux 6.1; getsockopt gives as much as is asked for.
struct TcpInfo {
    u8 state { 0 };
    u8 ca_state { 0 };
    u8 retransmits { 0 };
    u8 probes { 0 };
    u8 backoff { 0 };
    u8 options { 0 };
    u8 window_scales { 0 };
    u8 flags { 0 };
    u32 rto { 0 };
    u32 ato { 0 };
    u32 snd_mss { 0 };
    u32 rcv_mss { 0 };
    u32 unacked { 0 };
    u32 sacked { 0 };
    u32 lost { 0 };
    u32 retrans { 0 };
    u32 fackets { 0 };
    u32 last_data_sent { 0 };
    u32 last_ack_sent { 0 };
    u32 last_data_recv { 0 };
    u32 last_ack_recv { 0 };
    u32 pmtu { 0 };
    u32 rcv_ssthresh { 0 };
    u32 rtt { 0 };
    u32 rttvar { 0 };
    u32 snd_ssthresh { 0 };
    u32 snd_cwnd { 0 };
    u32 advmss { 0 };
    u32 reordering { 0 };
    u32 rcv_rtt { 0 };
    u32 rcv_space { 0 };
    u32 total_retrans { 0 };
    u64 pacing_rate { 0 };
    u64 max_pacing_rate { 0 };
    u64 bytes_acked { 0 };
    u64 bytes_received { 0 };
    u32 segs_out { 0 };
    u32 segs_in { 0 };
    u32 notsent_bytes { 0 };
    u32 min_rtt { 0 };
    u32 data_segs_in { 0 };
    u32 data_segs_out { 0 };
    u64 delivery_rate { 0 };
    u64 busy_time { 0 };
    u64 rwnd_limited { 0 };
    u64 sndbuf_limited { 0 };
    u32 delivered { 0 };
    u32 delivered_ce { 0 };
    u64 bytes_sent { 0 };
    u64 bytes_retrans { 0 };
    u32 dsack_dups { 0 };
    u32 reord_seen { 0 };
    u32 rcv_ooopack { 0 };
    u32 snd_wnd { 0 };
};

} // namespace eremite::abi
