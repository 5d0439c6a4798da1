// A TCP socket: nothing yet, a listener, or (the owner of) a connection.
#pragma once

#include "net/socket.h"
#include "net/tcp/layer.h"

namespace eremite::net {

class TcpSocket final : public Socket {
public:
    TcpSocket(Stack& stack, int domain);
    ~TcpSocket() override;

    Result<> bind(const SocketAddress&) override;
    Result<> listen(int backlog) override;
    Result<SocketRef> accept(bool nonblocking, SocketAddress* peer) override;
    Result<> connect(const SocketAddress&, bool nonblocking) override;
    Result<usize> send(SendRequest&) override;
    Result<usize> receive(ReceiveRequest&) override;
    Result<usize> send_bytes(const IoBuffer& data, u32 flags, bool nonblocking) override;
    Result<usize> receive_bytes(const IoBuffer& data, u32 flags, bool nonblocking) override;
    Result<> shutdown(int how) override;
    void close() override;
    Result<> local_address(SocketAddress&) override;
    Result<> peer_address(SocketAddress&) override;
    Result<> set_option(int level, int name, std::span<const u8> value) override;
    Result<usize> get_option(int level, int name, std::span<u8> value) override;
    u32 readiness() override;
    Result<usize> bytes_to_read() override;
    Result<usize> bytes_to_send() override;

    bool is_listening() const { return m_listening.load(std::memory_order_acquire); }
    bool reuse_address() const { return m_reuse_address; }
    bool reuse_port() const { return m_reuse_port; }
    bool v6_only() const { return m_v6_only; }
    u32 bound_interface() const { return m_bound_interface; }
    /// For tests: null unless connected or connecting.
    RefPtr<TcpConnection> connection() const;

private:
    friend class Tcp;
    Result<> ensure_bound();
    Result<> finish_connect(bool nonblocking);
    void adopt(RefPtr<TcpConnection> connection, Endpoint local);
    Result<> set_tcp_option(int name, std::span<const u8> value);
    void apply(void (*change)(TcpSettings&, u64), u64 value);

    Tcp& m_tcp;
    mutable SpinLock m_lock;
    RefPtr<TcpConnection> m_connection GUARDED_BY(m_lock);
    RefPtr<TcpListener> m_listener GUARDED_BY(m_lock);
    TcpSettings m_settings GUARDED_BY(m_lock);
    /// The connection as fast paths see it: set once, never changed until the socket is gone.
    std::atomic<TcpConnection*> m_fast { nullptr };
    std::atomic<bool> m_listening { false };
    std::atomic<bool> m_connect_reported { false };
    // Under Tcp's bind lock.
    TcpSocket* m_next_bound { nullptr };
    bool m_bound { false };
    Endpoint m_local {};
    bool m_source_chosen { false };
};

} // namespace eremite::net
