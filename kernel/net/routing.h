// Where a packet goes: the route table, path MTUs learnt from the network, and Path, what a socket remembers of both.
#pragma once

#include "base/vector.h"
#include "net/ip_address.h"
#include "net/neighbour.h"

namespace eremite::net {

class Interface;

struct Route {
    IpAddress network {};
    u8 prefix { 0 };
    /// Unspecified: the destination is on the link.
    IpAddress gateway {};
    Interface* interface { nullptr };
    u32 metric { 0 };
    /// For routes that an advertisement gave.
    Nanoseconds valid_until { Nanoseconds::max() };

    bool has_gateway() const { return !gateway.is_unspecified(); }
};

/// How to reach a destination. Good as long as `generation` is the stack's; then it is to be found anew.
struct Path {
    Interface* interface { nullptr };
    IpAddress source {};
    IpAddress next_hop {};
    u32 mtu { 0 };
    u32 generation { 0 };
    /// Of the next hop; null for loopback, broadcast and multicast.
    RefPtr<Neighbour> neighbour {};
};

class RouteTable {
public:
    /// Replaces a route with the same network, prefix and gateway. ENOMEM.
    Result<> add(const Route& route);
    /// ESRCH.
    Result<> remove(IpAddress network, u8 prefix, IpAddress gateway);
    void remove_all(const Interface& interface, bool v4);
    void expire(Nanoseconds now);
    /// The longest match; `interface` null: any.
    std::optional<Route> find(IpAddress destination, const Interface* interface);
    usize snapshot(std::span<Route> routes);

    /// What an ICMP error taught of the path to `destination`; forgotten after ten minutes (RFC 1191, 6.3).
    void learn_mtu(IpAddress destination, u32 mtu, Nanoseconds now);
    u32 path_mtu(IpAddress destination, u32 link_mtu, Nanoseconds now);

private:
    struct LearntMtu {
        IpAddress destination {};
        u32 mtu { 0 };
        Nanoseconds until {};
    };
    SpinLock m_lock;
    Vector<Route> m_routes GUARDED_BY(m_lock);
    std::array<LearntMtu, 64> m_mtus GUARDED_BY(m_lock) {};
    std::atomic<bool> m_any_mtu { false };
};

} // namespace eremite::net
