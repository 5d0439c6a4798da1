// Raw sockets (SOCK_RAW), and ping sockets (SOCK_DGRAM with IPPROTO_ICMP or ICMPv6).
#pragma once

#include "net/datagram_queue.h"
#include "net/ip.h"
#include "net/socket.h"

namespace eremite::net {

class RawSocket final : public Socket {
public:
    RawSocket(Stack& stack, int domain, int type, int protocol);
    ~RawSocket() override;

    Result<> bind(const SocketAddress&) override;
    Result<> connect(const SocketAddress&, bool nonblocking) override;
    Result<usize> send(SendRequest&) override;
    Result<usize> receive(ReceiveRequest&) override;
    Result<> shutdown(int how) override;
    void close() override;
    Result<> local_address(SocketAddress&) override;
    Result<> peer_address(SocketAddress&) override;
    Result<> set_option(int level, int name, std::span<const u8> value) override;
    u32 readiness() override;
    Result<usize> bytes_to_read() override { return m_queue.next_length(); }

private:
    friend class RawSockets;
    bool is_ping() const { return m_type == abi::k_sock_dgram; }
    bool wants(const IpInfo& info, Packet& packet) const;

    DatagramQueue m_queue;
    RawSocket* m_next { nullptr };
    bool m_listed { false };
    Endpoint m_local {};
    Endpoint m_remote {};
    bool m_connected { false };
    bool m_header_included { false };
    /// ICMPv6 types that are filtered out (ICMP6_FILTER), or ICMP types (ICMP_FILTER).
    std::array<u32, 8> m_filter {};
};

} // namespace eremite::net
