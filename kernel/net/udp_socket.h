// A UDP socket.
#pragma once

#include "net/datagram_queue.h"
#include "net/routing.h"
#include "net/socket.h"
#include "net/udp.h"

namespace eremite::net {

class UdpSocket final : public Socket {
public:
    UdpSocket(Stack& stack, int domain);
    ~UdpSocket() override;

    Result<> bind(const SocketAddress&) override;
    Result<> connect(const SocketAddress&, bool nonblocking) override;
    Result<usize> send(SendRequest&) override;
    Result<usize> receive(ReceiveRequest&) override;
    Result<> shutdown(int how) override;
    void close() override;
    Result<> local_address(SocketAddress&) override;
    Result<> peer_address(SocketAddress&) override;
    Result<> set_option(int level, int name, std::span<const u8> value) override;
    Result<usize> get_option(int level, int name, std::span<u8> value) override;
    u32 readiness() override;
    /// What has arrived already: EAGAIN if nothing has. Doesn't poll the stack, so timers of the stack may call it.
    Result<usize> receive_queued(ReceiveRequest& request);
    Result<usize> bytes_to_read() override { return m_queue.next_length(); }
    Result<usize> bytes_to_send() override { return usize { 0 }; }
    /// Of the next datagram, without more ado.
    usize queued() { return m_queue.next_length(); }
    /// Local and remote; the latter is empty unless connected.
    std::pair<Endpoint, Endpoint> endpoints()
    {
        Locked lock(m_lock);
        return { m_local, m_connected ? m_remote : Endpoint {} };
    }

private:
    friend class Udp;
    Result<Path> path_to(const Endpoint& destination, const SendRequest& request);
    Result<> ensure_bound();
    void deliver(const IpInfo& info, Packet packet, u16 source_port);

    DatagramQueue m_queue;
    // Under the table's lock (Udp::m_lock).
    UdpSocket* m_next { nullptr };
    bool m_bound { false };
    // Set by bind and connect; m_lock orders writers, readers copy under it.
    SpinLock m_lock;
    Endpoint m_local GUARDED_BY(m_lock) {};
    Endpoint m_remote GUARDED_BY(m_lock) {};
    Path m_path GUARDED_BY(m_lock) {};
    bool m_connected GUARDED_BY(m_lock) { false };
    std::atomic<bool> m_shut_read { false };
    std::atomic<bool> m_shut_write { false };
    bool m_source_chosen { false };
    u16 m_segment_size { 0 };
};

template<typename Visit> void Udp::for_each(Visit visit)
{
    Locked lock(m_lock);
    for (UdpSocket* socket : m_buckets) {
        for (; socket; socket = socket->m_next) {
            if (!visit(*socket))
                return;
        }
    }
}

} // namespace eremite::net
