// A DHCPv4 client (RFC 2131, RFC 2132): gets an address, keeps it by renewal, gives it up when the lease ends. No
// thread: it runs on the stack's timers and whenever its socket has something.
#pragma once

#include "net/interface.h"
#include "net/udp_socket.h"

namespace eremite::net {

class DhcpClient final : public WheelTimer {
public:
    enum class State : u8 { Initial, Selecting, Requesting, Bound, Renewing, Rebinding };

    /// ENOMEM, or what binding the port gives.
    static Result<OwnPtr<DhcpClient>> create(Stack& stack, Interface& interface);
    DhcpClient(Stack& stack, Interface& interface, RefPtr<UdpSocket> socket);
    ~DhcpClient() override;

    /// Begins to ask, at the next poll. All that follows happens in expire(), so by one thread at a time.
    void start();
    bool is_bound() const { return m_bound.load(std::memory_order_acquire); }
    /// Woken when an address has come.
    WaitQueue& wait_queue() { return m_wait_queue; }

protected:
    bool retain() override { return true; }
    void expire(Nanoseconds now) override;

private:
    struct Offer {
        IpAddress address {};
        IpAddress server {};
        IpAddress gateway {};
        u8 prefix { 24 };
        u8 type { 0 };
        u32 lease { 0 };
        u32 renewal { 0 };
        u32 rebinding { 0 };
        u16 mtu { 0 };
        std::array<IpAddress, 3> nameservers {};
        usize nameserver_count { 0 };
        std::array<char, 64> domain {};
        usize domain_length { 0 };
    };

    static void socket_ready(Waiter& waiter, u32 events);
    void receive_all(Nanoseconds now);
    std::optional<Offer> parse(std::span<const u8> message) const;
    void handle(const Offer& offer, Nanoseconds now);
    void bind_to(const Offer& offer, Nanoseconds now);
    void release_address();
    void begin(Nanoseconds now);
    void transmit(u8 type, Nanoseconds now);

    Stack& m_stack;
    Interface& m_interface;
    RefPtr<UdpSocket> m_socket;
    Waiter m_waiter;
    WaitQueue m_wait_queue;
    std::atomic<bool> m_bound { false };
    State m_state { State::Initial };
    u32 m_transaction { 0 };
    u32 m_attempts { 0 };
    Nanoseconds m_started {};
    Nanoseconds m_next_send {};
    Nanoseconds m_renew_at { Nanoseconds::max() };
    Nanoseconds m_rebind_at { Nanoseconds::max() };
    Nanoseconds m_lease_ends { Nanoseconds::max() };
    Offer m_lease {};
};

} // namespace eremite::net
