// TCP as a whole: segments to connections, listeners and requests; ports; resets; limits.
#pragma once

#include "net/ip.h"
#include "net/tcp/connection.h"
#include "net/tcp/listener.h"
#include "net/tcp/table.h"

namespace eremite::net {

class Stack;
class TcpSocket;

class Tcp {
public:
    static constexpr usize k_max_time_wait = 16384;
    static constexpr Nanoseconds k_time_wait = Nanoseconds::from_seconds(60);

    explicit Tcp(Stack& stack);
    Result<> initialize();
    /// Ends all connections without a word; the stack goes away.
    void shut_down();

    Stack& stack() { return m_stack; }
    TcpTable& table() { return m_table; }
    TcpListeners& listeners() { return m_listeners; }

    void receive(const IpInfo& info, Packet packet);
    void icmp_error(const IcmpReport& report);
    /// Answers a segment that nobody wants (RFC 9293, 3.10.7.1).
    void send_reset_for(const IpInfo& info, const TcpHeader& header, u32 length);
    /// A segment without connection: SYN-ACKs, resets, ACKs of TIME_WAIT.
    struct Bare {
        u32 sequence { 0 };
        u32 acknowledgment { 0 };
        u8 flags { 0 };
        u16 window { 0 };
        u8 hop_limit { 64 };
        u8 traffic_class { 0 };
    };
    void send_bare(const TcpKey& key, Interface* interface, const Bare& segment, const TcpOptions& options);

    /// Ports of sockets. EADDRINUSE.
    Result<> bind(TcpSocket& socket, Endpoint local);
    void unbind(TcpSocket& socket);
    /// Finds a local port for `connection`'s addresses, enters it in the table. EADDRNOTAVAIL, ENOMEM.
    Result<RefPtr<TcpConnection>> open(
        TcpSocket& socket, const TcpKey& key, const Path& path, const TcpSettings& settings);

    u32 initial_sequence(const TcpKey& key);
    u32 timestamp_offset(const TcpKey& key);

    /// The connection has something to send at the end of this poll.
    void schedule(TcpConnection& connection);
    /// Or when its device has transmitted what it has.
    void schedule_when_idle(TcpConnection& connection, Interface& interface);
    /// A device is idle again.
    void device_idle();
    bool run_pending();
    bool has_pending() const { return m_pending_count.load(std::memory_order_acquire) != 0; }

    /// Memory of all queues together; beyond the limit connections get no more.
    bool is_short_of_memory() const
    {
        return m_memory.load(std::memory_order_relaxed) > m_memory_limit.load(std::memory_order_relaxed);
    }
    void account(i64 bytes) { m_memory.fetch_add(bytes, std::memory_order_relaxed); }
    void set_memory_limit(u64 bytes) { m_memory_limit.store(static_cast<i64>(bytes), std::memory_order_relaxed); }
    i64 memory() const { return m_memory.load(std::memory_order_relaxed); }

    void time_wait_added() { m_time_wait_count.fetch_add(1, std::memory_order_relaxed); }
    void time_wait_removed() { m_time_wait_count.fetch_sub(1, std::memory_order_relaxed); }
    usize time_wait_count() const { return m_time_wait_count.load(std::memory_order_relaxed); }

private:
    bool conflicts(const TcpSocket& socket, const Endpoint& local) REQUIRES(m_bind_lock);
    void receive_without_entry(const IpInfo& info, const TcpHeader& header, const TcpOptions& options, Packet payload);

    using PendingList = List<TcpConnection, &TcpConnection::pending_hook>;

    Stack& m_stack;
    TcpTable m_table;
    TcpListeners m_listeners;
    SpinLock m_bind_lock;
    static constexpr usize k_bind_buckets = 128;
    std::array<TcpSocket*, k_bind_buckets> m_bound GUARDED_BY(m_bind_lock) {};
    SpinLock m_pending_lock;
    PendingList m_pending GUARDED_BY(m_pending_lock);
    PendingList m_idle_waiters GUARDED_BY(m_pending_lock);
    std::atomic<u32> m_pending_count { 0 };
    std::atomic<u32> m_idle_waiter_count { 0 };
    std::atomic<i64> m_memory { 0 };
    std::atomic<i64> m_memory_limit { 256 << 20 };
    std::atomic<usize> m_time_wait_count { 0 };
    std::atomic<u32> m_port_counter { 0 };
};

} // namespace eremite::net
