// A device as IP sees it: addresses, neighbours, multicast groups, autoconfiguration, and the way down to the wire.
#pragma once

#include "net/headers.h"
#include "net/neighbour.h"
#include "net/routing.h"
#include "net/timer_wheel.h"

namespace eremite::net {

class Stack;

/// The Ethernet address of a multicast group.
MacBytes multicast_mac(IpAddress group);

struct InterfaceAddress {
    enum class State : u8 {
        Optimistic, // in use while duplicate detection runs (RFC 4429)
        Preferred,
        Deprecated, // not for new connections
        Duplicate, // somebody else has it; never used
    };
    IpAddress address {};
    u8 prefix { 0 };
    State state { State::Preferred };
    Nanoseconds preferred_until { Nanoseconds::max() };
    Nanoseconds valid_until { Nanoseconds::max() };
    /// Duplicate detection: whether it asked, and when.
    bool probe_sent { false };
    Nanoseconds probed_at {};
};

class Interface final : public NeighbourOwner {
public:
    static constexpr usize k_max_addresses = 16;
    static constexpr usize k_max_groups = 64;
    /// Ethernet header of a packet; part of the headroom.
    static constexpr u32 k_link_header = sizeof(EthernetHeader);

    Interface(Stack& stack, NetDevice& device, u32 index);
    ~Interface();

    Stack& stack() { return m_stack; }
    NetDevice& device() { return m_device; }
    /// 1 is the loopback device.
    u32 index() const { return m_index; }
    bool is_loopback() const { return m_device.is_loopback(); }
    /// What a packet may measure here: the device's MTU, or less if a router said so.
    u32 mtu() const { return std::min(m_device.mtu(), m_advertised_mtu.load(std::memory_order_relaxed)); }
    NeighbourTable& neighbours() { return m_neighbours; }

    /// Gives the interface an address and the route to its subnet. EEXIST, ENOSPC.
    Result<> add_address(InterfaceAddress address);
    /// EADDRNOTAVAIL.
    Result<> remove_address(IpAddress address);
    void remove_v4_addresses();
    usize addresses(std::span<InterfaceAddress> copies);
    bool owns(IpAddress address);
    /// A packet for `destination` that arrives here is for us.
    bool accepts(IpAddress destination);
    /// The broadcast address of one of our IPv4 subnets (or 255.255.255.255).
    bool is_broadcast(IpAddress address);
    /// The best address to send from (RFC 6724 in short: scope, state, longest match).
    std::optional<IpAddress> source_for(IpAddress destination);
    /// The netmask's length of the address; 0 if it is not ours.
    u8 prefix_of(IpAddress address);

    /// The default route; the gateway may lie outside of all subnets (then it gets a route of its own, on the link).
    Result<> add_gateway(IpAddress gateway);
    /// A smaller MTU than the device's, by DHCP or a router.
    void limit_mtu(u32 mtu) { m_advertised_mtu.store(mtu, std::memory_order_relaxed); }

    /// Starts IPv6: link-local address, router solicitation.
    void start_ipv6();
    /// Unspecified addresses: anything is accepted, for DHCP. Set while the client runs.
    void set_unconfigured(bool value) { m_unconfigured.store(value, std::memory_order_relaxed); }

    Result<> join_group(IpAddress group);
    Result<> leave_group(IpAddress group);
    bool is_member(IpAddress group);
    void group_query(bool v4, IpAddress group);

    /// Sends an IP packet to the next hop of `path`. False if the device's queue is full (packet lost).
    bool output(Packet packet, u16 ethertype, const Path& path, IpAddress destination);
    bool send_to_mac(Packet packet, u16 ethertype, MacBytes destination);
    /// Queues a finished frame that the device can send as it is. False if its queue is full.
    bool transmit_frame(Packet& frame);
    /// Tells the device of what was queued.
    void flush()
    {
        if (m_dirty.load(std::memory_order_relaxed)) {
            m_dirty.store(false, std::memory_order_relaxed);
            m_device.flush();
        }
    }

    void handle_arp(Packet packet);
    void handle_router_advertisement(IpAddress source, std::span<const u8> body);
    /// A neighbour solicitation or advertisement told that `address` is taken by `mac`.
    void check_duplicate(IpAddress address, MacBytes mac);
    void announce(IpAddress address);

    void solicit(IpAddress target, const MacBytes* mac) override;
    void send_resolved(Packet packet, u16 ethertype, MacBytes destination) override;
    void unresolved(Packet packet, u16 ethertype) override;
    void arm_probe(Nanoseconds deadline) override;

private:
    friend class Stack;
    struct Group {
        IpAddress address {};
        u32 members { 0 };
        u8 reports_left { 0 };
    };
    struct ProbeTimer final : WheelTimer {
        explicit ProbeTimer(Interface& owner)
            : interface(owner)
        {
        }
        bool retain() override { return true; }
        void expire(Nanoseconds now) override;
        Interface& interface;
    };
    struct MaintenanceTimer final : WheelTimer {
        explicit MaintenanceTimer(Interface& owner)
            : interface(owner)
        {
        }
        bool retain() override { return true; }
        void expire(Nanoseconds now) override;
        Interface& interface;
    };

    void maintain(Nanoseconds now);
    void maintain_soon();
    void send_router_solicitation();
    void send_group_reports(bool v4, bool only_pending, bool leaving, IpAddress leaving_group);
    InterfaceAddress* find_address(IpAddress address) REQUIRES(m_lock);

    Stack& m_stack;
    NetDevice& m_device;
    u32 m_index;
    std::atomic<u32> m_advertised_mtu { UINT32_MAX };
    std::atomic<bool> m_dirty { false };
    std::atomic<bool> m_unconfigured { false };
    NeighbourTable m_neighbours;
    ProbeTimer m_probe_timer;
    MaintenanceTimer m_maintenance_timer;

    SpinLock m_lock;
    std::array<InterfaceAddress, k_max_addresses> m_addresses GUARDED_BY(m_lock) {};
    usize m_address_count GUARDED_BY(m_lock) { 0 };
    std::array<Group, k_max_groups> m_groups GUARDED_BY(m_lock) {};
    u8 m_solicitations_left GUARDED_BY(m_lock) { 0 };
    Nanoseconds m_next_solicitation GUARDED_BY(m_lock) {};
};

} // namespace eremite::net
