// Listening sockets: connection requests (half-open), SYN cookies, the queue of what accept() has not yet taken.
#pragma once

#include "net/tcp/connection.h"

namespace eremite::net {

class Interface;

/// A passive open under way: a SYN came, its SYN-ACK is out. Small, since anybody can make us have many.
class TcpRequest final : public TcpEntry, public WheelTimer {
public:
    TcpRequest(
        Tcp& tcp, const TcpKey& key, RefPtr<TcpListener> listener, const TcpHandshake& handshake, Interface* interface);
    ~TcpRequest() override;

    void send_syn_ack();
    void start();
    /// A segment for it; the third of the handshake turns it into a connection.
    void receive(const IpInfo& info, const TcpHeader& header, const TcpOptions& options, Packet payload);
    const TcpHandshake& handshake() const { return m_handshake; }

protected:
    bool retain() override { return try_ref(); }
    void expire(Nanoseconds now) override;

private:
    friend class TcpListener;
    void drop();

    Tcp& m_tcp;
    RefPtr<TcpListener> m_listener;
    TcpHandshake m_handshake;
    Interface* m_interface;
    Nanoseconds m_sent_at {};
    u8 m_retries { 0 };
    bool m_acknowledged { false }; // waits for data (TCP_DEFER_ACCEPT) or room in the queue
};

class TcpListener final : public RefCounted<TcpListener> {
public:
    TcpListener(Tcp& tcp, Endpoint local, bool v6_only, u32 interface, const TcpSettings& settings, WaitQueue& queue);
    ~TcpListener();

    const Endpoint& local() const { return m_local; }
    bool v6_only() const { return m_v6_only; }
    u32 interface() const { return m_interface; }
    TcpSettings settings();
    void change_settings(void (*change)(TcpSettings&, u64), u64 value);
    void set_backlog(u32 backlog) { m_backlog.store(backlog, std::memory_order_relaxed); }

    void receive_syn(const IpInfo& info, const TcpKey& key, const TcpHeader& header, const TcpOptions& options);
    /// An ACK that belongs to no connection: perhaps it brings a cookie back. False if not.
    bool receive_cookie(
        const IpInfo& info, const TcpKey& key, const TcpHeader& header, const TcpOptions& options, Packet payload);
    /// A handshake is complete: queues the connection. False if the queue is full.
    bool complete(RefPtr<TcpConnection> connection);
    bool has_room();
    RefPtr<TcpConnection> take();
    u32 queued() const { return m_queued.load(std::memory_order_relaxed); }
    bool has_connections() const { return m_queued.load(std::memory_order_acquire) != 0; }
    /// No more connections; those in the queue are reset.
    void close();

private:
    friend class TcpRequest;
    static constexpr u32 k_max_requests = 1024;
    u32 cookie(const TcpKey& key, u32 peer_sequence, u32 mss_index, u32 minute);

    Tcp& m_tcp;
    Endpoint m_local;
    bool m_v6_only;
    u32 m_interface;
    std::atomic<u32> m_backlog { 0 };
    std::atomic<u32> m_requests { 0 };
    std::atomic<u32> m_queued { 0 };
    std::atomic<i64> m_last_cookie { INT64_MIN };
    SpinLock m_lock;
    TcpSettings m_settings GUARDED_BY(m_lock);
    WaitQueue* m_wait_queue GUARDED_BY(m_lock);
    List<TcpConnection, &TcpConnection::accept_hook> m_queue GUARDED_BY(m_lock);
    bool m_closed GUARDED_BY(m_lock) { false };

public:
    ListHook hook;
};

/// The listeners by port.
class TcpListeners {
public:
    void add(TcpListener& listener);
    void remove(TcpListener& listener);
    /// The one that fits best; among equals (SO_REUSEPORT) by hash.
    RefPtr<TcpListener> find(const TcpKey& key, u32 interface, u64 hash);
    /// Calls `visit` for each, under the lock.
    template<typename Visit> void for_each(Visit visit)
    {
        Locked lock(m_lock);
        for (auto& bucket : m_buckets) {
            for (TcpListener& listener : bucket)
                visit(listener);
        }
    }

private:
    static constexpr usize k_buckets = 64;
    SpinLock m_lock;
    std::array<List<TcpListener, &TcpListener::hook>, k_buckets> m_buckets GUARDED_BY(m_lock);
};

/// A connection's last minute: answers what is still under way, and keeps the port from being reused too early.
class TcpTimeWait final : public TcpEntry, public WheelTimer {
public:
    TcpTimeWait(Tcp& tcp, const TcpKey& key, u32 send_next, u32 receive_next, u32 window, bool timestamps,
        u32 recent_timestamp, u32 timestamp_offset);
    ~TcpTimeWait() override;

    void start();
    /// True if a SYN may begin a new connection here (RFC 6191); the entry is then gone.
    bool receive(const IpInfo& info, const TcpHeader& header, const TcpOptions& options, u32 length);
    /// A connect() of ours may take over the port: timestamps tell old from new segments. Gives where to start.
    bool may_reuse(Nanoseconds now, u32& sequence) const;

protected:
    bool retain() override { return try_ref(); }
    void expire(Nanoseconds now) override;

private:
    Tcp& m_tcp;
    u32 m_send_next;
    u32 m_receive_next;
    u32 m_window;
    bool m_timestamps;
    u32 m_recent_timestamp;
    u32 m_timestamp_offset;
    Nanoseconds m_since {};
};

} // namespace eremite::net
