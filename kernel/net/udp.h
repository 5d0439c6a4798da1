// UDP (RFC 768): the table of bound sockets, and delivery to them.
#pragma once

#include "base/intrusive.h"
#include "net/ip.h"
#include "net/siphash.h"
#include "sync/spin_lock.h"

namespace eremite::net {

class Stack;
class UdpSocket;
class RawSocket;

/// Ephemeral ports, as Linux's ip_local_port_range.
inline constexpr u16 k_first_ephemeral_port = 32768;
inline constexpr u16 k_last_ephemeral_port = 60999;

class Udp {
public:
    explicit Udp(Stack& stack)
        : m_stack(stack)
    {
    }

    void receive(const IpInfo& info, Packet packet);
    void icmp_error(const IcmpReport& report);

    /// Enters the socket under its local endpoint; port 0: picks one (RFC 6056). EADDRINUSE.
    Result<> bind(UdpSocket& socket, Endpoint local);
    void unbind(UdpSocket& socket);
    /// Calls `visit` for each bound socket, under the lock, until it returns false.
    template<typename Visit> void for_each(Visit visit);

private:
    friend class UdpSocket;
    static constexpr usize k_buckets = 128;
    struct Match {
        IpAddress source;
        u16 source_port;
        IpAddress destination;
        u16 destination_port;
        u32 interface;
    };
    RefPtr<UdpSocket> find(const Match& match);
    bool conflicts(const UdpSocket& socket, const Endpoint& local) REQUIRES(m_lock);

    Stack& m_stack;
    SpinLock m_lock;
    std::array<UdpSocket*, k_buckets> m_buckets GUARDED_BY(m_lock) {};
};

/// Raw sockets get a copy of every packet of their protocol.
class RawSockets {
public:
    explicit RawSockets(Stack& stack)
        : m_stack(stack)
    {
    }
    /// True if some socket took a copy.
    bool deliver(const IpInfo& info, Packet& packet);
    void add(RawSocket& socket);
    void remove(RawSocket& socket);
    bool is_used() const { return m_count.load(std::memory_order_acquire) != 0; }

private:
    Stack& m_stack;
    SpinLock m_lock;
    RawSocket* m_first GUARDED_BY(m_lock) { nullptr };
    std::atomic<u32> m_count { 0 };
};

} // namespace eremite::net
