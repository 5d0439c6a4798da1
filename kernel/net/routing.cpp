#include "net/routing.h"

namespace eremite::net {

Result<> RouteTable::add(const Route& route)
{
    Locked lock(m_lock);
    for (Route& existing : m_routes) {
        if (existing.network == route.network && existing.prefix == route.prefix && existing.gateway == route.gateway
            && existing.interface == route.interface) {
            existing = route;
            return {};
        }
    }
    return m_routes.try_append(route);
}

Result<> RouteTable::remove(IpAddress network, u8 prefix, IpAddress gateway)
{
    Locked lock(m_lock);
    for (usize i = 0; i < m_routes.size(); ++i) {
        const Route& route = m_routes[i];
        if (route.network == network && route.prefix == prefix
            && (gateway.is_unspecified() || route.gateway == gateway)) {
            m_routes.remove_unordered(i);
            return {};
        }
    }
    return Errno::ESRCH;
}

void RouteTable::remove_all(const Interface& interface, bool v4)
{
    Locked lock(m_lock);
    for (usize i = m_routes.size(); i-- > 0;) {
        if (m_routes[i].interface == &interface && m_routes[i].network.is_v4() == v4)
            m_routes.remove_unordered(i);
    }
}

void RouteTable::expire(Nanoseconds now)
{
    Locked lock(m_lock);
    for (usize i = m_routes.size(); i-- > 0;) {
        if (m_routes[i].valid_until <= now)
            m_routes.remove_unordered(i);
    }
}

std::optional<Route> RouteTable::find(IpAddress destination, const Interface* interface)
{
    Locked lock(m_lock);
    const Route* best = nullptr;
    for (const Route& route : m_routes) {
        if ((interface && route.interface != interface) || !destination.matches(route.network, route.prefix))
            continue;
        if (!best || route.prefix > best->prefix || (route.prefix == best->prefix && route.metric < best->metric))
            best = &route;
    }
    if (!best)
        return {};
    return *best;
}

usize RouteTable::snapshot(std::span<Route> routes)
{
    Locked lock(m_lock);
    usize count = 0;
    for (const Route& route : m_routes) {
        if (count < routes.size())
            routes[count++] = route;
    }
    return count;
}

void RouteTable::learn_mtu(IpAddress destination, u32 mtu, Nanoseconds now)
{
    Locked lock(m_lock);
    LearntMtu* place = &m_mtus[0];
    for (LearntMtu& entry : m_mtus) {
        if (entry.mtu != 0 && entry.destination == destination) {
            place = &entry;
            break;
        }
        if (entry.until < place->until)
            place = &entry;
    }
    *place = { destination, mtu, now + Nanoseconds::from_seconds(600) };
    m_any_mtu.store(true, std::memory_order_release);
}

u32 RouteTable::path_mtu(IpAddress destination, u32 link_mtu, Nanoseconds now)
{
    if (!m_any_mtu.load(std::memory_order_acquire))
        return link_mtu;
    Locked lock(m_lock);
    for (const LearntMtu& entry : m_mtus) {
        if (entry.mtu != 0 && entry.destination == destination && entry.until > now)
            return std::min(entry.mtu, link_mtu);
    }
    return link_mtu;
}

} // namespace eremite::net
