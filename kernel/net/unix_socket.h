// AF_UNIX sockets, within the process: stream, datagram, sequenced packets; pairs; descriptors and credentials along
// with data (unix(7)). Needs no stack.
#pragma once

#include "device/packet.h"
#include "net/socket.h"

namespace eremite::net {

class UnixSocket final : public Socket {
public:
    /// ESOCKTNOSUPPORT, EPROTONOSUPPORT, ENOMEM.
    static Result<SocketRef> create(int type, int protocol);
    static Result<std::array<SocketRef, 2>> create_pair(int type, int protocol);
    explicit UnixSocket(int type);
    ~UnixSocket() override;

    Result<> bind(const SocketAddress&) override;
    Result<> listen(int backlog) override;
    Result<SocketRef> accept(bool nonblocking, SocketAddress* peer) override;
    Result<> connect(const SocketAddress&, bool nonblocking) override;
    Result<usize> send(SendRequest&) override;
    Result<usize> receive(ReceiveRequest&) override;
    Result<> shutdown(int how) override;
    void close() override;
    Result<> local_address(SocketAddress&) override;
    Result<> peer_address(SocketAddress&) override;
    Result<usize> get_option(int level, int name, std::span<u8> value) override;
    u32 readiness() override;
    Result<usize> bytes_to_read() override;
    Result<usize> bytes_to_send() override { return usize { 0 }; }

private:
    friend class UnixNames;
    /// Goes with each packet: what was attached (one reference), and who sent it, for datagrams.
    struct Note {
        Attachment* attachment;
        UnixSocket* sender; // one reference, or null
    };

    bool keeps_boundaries() const { return m_type != abi::k_sock_stream; }
    bool is_connection_oriented() const { return m_type != abi::k_sock_dgram; }
    RefPtr<UnixSocket> peer();
    Result<Packet> gather(IoCursor& data, u32 length);
    /// Queues at the receiver: EAGAIN if full, EPIPE if it no longer reads.
    Result<> deliver(Packet& packet, u32 limit);
    static void drop(Packet packet);
    Result<usize> take(ReceiveRequest& request);
    void show_name(SocketAddress& address);

    SpinLock m_lock;
    RefPtr<UnixSocket> m_peer GUARDED_BY(m_lock);
    PacketList m_queue GUARDED_BY(m_lock);
    usize m_bytes GUARDED_BY(m_lock) { 0 };
    usize m_memory GUARDED_BY(m_lock) { 0 };
    bool m_shut_read GUARDED_BY(m_lock) { false };
    bool m_shut_write GUARDED_BY(m_lock) { false };
    bool m_peer_closed GUARDED_BY(m_lock) { false };
    bool m_was_connected GUARDED_BY(m_lock) { false };
    bool m_reset GUARDED_BY(m_lock) { false };
    bool m_reading GUARDED_BY(m_lock) { false };
    // Listening.
    Vector<RefPtr<UnixSocket>> m_accept_queue GUARDED_BY(m_lock);
    bool m_listening GUARDED_BY(m_lock) { false };
    u32 m_backlog GUARDED_BY(m_lock) { 0 };
    // Under the registry's lock.
    UnixSocket* m_next_named { nullptr };
    bool m_named { false };
    u8 m_name_length { 0 };
    std::array<char, 108> m_name {};
};

} // namespace eremite::net
