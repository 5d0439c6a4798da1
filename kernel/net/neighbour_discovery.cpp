// IPv6 neighbour discovery and stateless address configuration (RFC 4861, RFC 4862, RFC 4429, RFC 8106).
#include "base/log.h"
#include "net/checksum.h"
#include "net/stack.h"

namespace eremite::net {

namespace {

constexpr u8 k_router_solicitation = 133;
constexpr u8 k_router_advertisement = 134;
constexpr u8 k_neighbour_solicitation = 135;
constexpr u8 k_neighbour_advertisement = 136;
constexpr u8 k_option_source_mac = 1;
constexpr u8 k_option_target_mac = 2;
constexpr u8 k_option_prefix = 3;
constexpr u8 k_option_mtu = 5;
constexpr u8 k_option_nameservers = 25;
constexpr u32 k_flag_solicited = 1u << 30;
constexpr u32 k_flag_override = 1u << 29;
constexpr Nanoseconds k_solicitation_interval = Nanoseconds::from_seconds(4);
constexpr u8 k_max_solicitations = 3;

const IpAddress k_all_nodes = IpAddress::v6(0xff02'0000'0000'0000, 1);
const IpAddress k_all_routers = IpAddress::v6(0xff02'0000'0000'0000, 2);

struct NeighbourMessage {
    u8 type;
    u8 code;
    Be16 checksum;
    Be32 flags;
    WireAddress target;
};

struct MacOption {
    u8 type;
    u8 length;
    MacBytes mac;
};

struct RouterAdvertisement {
    u8 type;
    u8 code;
    Be16 checksum;
    u8 hop_limit;
    u8 flags;
    Be16 lifetime;
    Be32 reachable_time;
    Be32 retransmit_time;
};

struct PrefixOption {
    u8 type;
    u8 length;
    u8 prefix_length;
    u8 flags;
    Be32 valid;
    Be32 preferred;
    Be32 reserved;
    WireAddress prefix;
};

/// Calls `visit(type, option)` for each option; false if one is malformed.
template<typename Visit> bool for_each_option(std::span<const u8> options, Visit visit)
{
    while (options.size() >= 2) {
        usize length = options[1] * 8u;
        if (length == 0 || length > options.size())
            return false;
        visit(options[0], options.first(length));
        options = options.subspan(length);
    }
    return true;
}

std::optional<MacBytes> mac_option(std::span<const u8> options, u8 wanted)
{
    std::optional<MacBytes> result;
    bool good = for_each_option(options, [&](u8 type, std::span<const u8> option) {
        if (type == wanted)
            result = header_at<MacOption>(option)->mac;
    });
    return good ? result : std::nullopt;
}

/// The interface identifier made of a MAC (RFC 4291, appendix A).
u64 interface_identifier(MacBytes mac)
{
    return u64 { static_cast<u8>(mac[0] ^ 2) } << 56 | u64 { mac[1] } << 48 | u64 { mac[2] } << 40
        | u64 { 0xfffe } << 24 | u64 { mac[3] } << 16 | u64 { mac[4] } << 8 | mac[5];
}

Nanoseconds lifetime(u32 seconds, Nanoseconds now)
{
    return seconds == UINT32_MAX ? Nanoseconds::max() : now + Nanoseconds::from_seconds(seconds);
}

} // namespace

void Stack::send_icmpv6(Interface& interface, IpAddress source, IpAddress destination, const MacBytes* mac,
    u8 hop_limit, std::span<const u8> message)
{
    auto created = Packet::create(k_packet_headroom, static_cast<u32>(message.size()));
    if (created.is_error())
        return;
    Packet packet = created.release_value();
    std::ranges::copy(message, packet.head().begin());
    auto* header = header_at<IcmpHeader>(packet.head());
    header->checksum = 0;
    Checksum sum;
    sum.add_pseudo_header(source, destination, Protocol::Icmpv6, packet.length());
    sum.add(packet.head());
    header->checksum = sum.finish();
    auto bytes = packet.prepend(sizeof(Ipv6Header));
    if (bytes.empty())
        return;
    *header_at<Ipv6Header>(bytes) = Ipv6Header { 6u << 28, static_cast<u16>(message.size()), Protocol::Icmpv6,
        hop_limit, source.to_wire(), destination.to_wire() };
    m_statistics.icmp_out_messages.add();
    if (mac) {
        interface.send_to_mac(std::move(packet), k_ethertype_ipv6, *mac);
        return;
    }
    Path path { .interface = &interface, .source = source, .next_hop = destination, .mtu = interface.mtu() };
    if (!destination.is_multicast()) {
        auto neighbour = interface.neighbours().get(destination, now());
        if (neighbour.is_error())
            return;
        path.neighbour = neighbour.release_value();
    }
    interface.output(std::move(packet), k_ethertype_ipv6, path, destination);
}

void Stack::send_neighbour_solicitation(
    Interface& interface, IpAddress target, const MacBytes* mac, bool duplicate_check)
{
    struct Message {
        NeighbourMessage neighbour;
        MacOption option;
    } message { { k_neighbour_solicitation, 0, 0, 0, target.to_wire() },
        { k_option_source_mac, 1, interface.device().mac() } };
    if (duplicate_check) // from the unspecified address, and so without an option (RFC 4862, 5.4.2)
        return send_icmpv6(interface, {}, target.solicited_node(), nullptr, 255, bytes_of(message.neighbour));
    IpAddress source = interface.source_for(target).value_or(IpAddress());
    send_icmpv6(interface, source, mac ? target : target.solicited_node(), mac, 255, bytes_of(message));
}

void Stack::receive_neighbour_message(const IpInfo& info, std::span<const u8> message)
{
    Interface& interface = *info.interface;
    u8 type = message[0];
    if (type >= 130 && type <= 132) {
        auto* group = header_at<WireAddress>(message, sizeof(IcmpHeader));
        if (type == 130 && group && info.hop_limit == 1)
            interface.group_query(false, IpAddress::from_wire(*group));
        return;
    }
    // A hop limit of 255 proves that no router passed it on (RFC 4861, 11.2).
    if (info.hop_limit != 255 || message[1] != 0 || interface.is_loopback())
        return m_statistics.icmp_in_errors.add();
    Nanoseconds time = now();
    if (type == k_router_advertisement) {
        if (info.source.is_link_local())
            interface.handle_router_advertisement(info.source, message);
        return;
    }
    auto* body = header_at<NeighbourMessage>(message);
    if (!body || (type != k_neighbour_solicitation && type != k_neighbour_advertisement))
        return; // router solicitations and redirects are not for us
    IpAddress target = IpAddress::from_wire(body->target);
    auto options = message.subspan(sizeof(NeighbourMessage));
    if (target.is_multicast())
        return m_statistics.icmp_in_errors.add();
    if (type == k_neighbour_advertisement) {
        u32 flags = body->flags;
        auto mac = mac_option(options, k_option_target_mac);
        if (interface.owns(target))
            return interface.check_duplicate(target, mac.value_or(MacBytes {}));
        if (mac && ((*mac)[0] & 1) == 0)
            interface.neighbours().learn(target, *mac, (flags & k_flag_solicited) != 0 && !info.to_many,
                (flags & k_flag_override) != 0, false, time);
        return;
    }
    if (!interface.owns(target))
        return;
    auto mac = mac_option(options, k_option_source_mac);
    struct Reply {
        NeighbourMessage neighbour;
        MacOption option;
    } reply { { k_neighbour_advertisement, 0, 0, k_flag_override, target.to_wire() },
        { k_option_target_mac, 1, interface.device().mac() } };
    if (info.source.is_unspecified()) {
        // Somebody checks whether the address is free: it isn't.
        return send_icmpv6(interface, target, k_all_nodes, nullptr, 255, bytes_of(reply));
    }
    if (mac && ((*mac)[0] & 1) == 0)
        interface.neighbours().learn(info.source, *mac, false, true, true, time);
    reply.neighbour.flags = k_flag_override | k_flag_solicited;
    send_icmpv6(interface, target, info.source, nullptr, 255, bytes_of(reply));
}

void Interface::start_ipv6()
{
    if (is_loopback())
        return;
    if (auto joined = join_group(k_all_nodes); joined.is_error()) { }
    IpAddress link_local = IpAddress::v6(0xfe80'0000'0000'0000, interface_identifier(m_device.mac()));
    auto added = add_address({ .address = link_local, .prefix = 64, .state = InterfaceAddress::State::Optimistic });
    if (added.is_error())
        log_warning("net: no link-local address on {}: {}", m_device.name(), added.error());
    {
        Locked lock(m_lock);
        m_solicitations_left = k_max_solicitations;
    }
    maintain(m_stack.now());
}

void Interface::check_duplicate(IpAddress address, MacBytes mac)
{
    if (mac == m_device.mac())
        return;
    bool lost = false;
    {
        Locked lock(m_lock);
        InterfaceAddress* own = find_address(address);
        if (own && own->state == InterfaceAddress::State::Optimistic) {
            own->state = InterfaceAddress::State::Duplicate;
            lost = true;
        }
    }
    log_error("net: {} is also used by another machine on {}{}", AddressText(address), m_device.name(),
        lost ? std::string_view(", so not by us") : std::string_view());
    if (lost)
        m_stack.paths_changed();
}

void Interface::handle_router_advertisement(IpAddress source, std::span<const u8> body)
{
    auto* advertisement = header_at<RouterAdvertisement>(body);
    if (!advertisement)
        return;
    Nanoseconds now = m_stack.now();
    auto options = body.subspan(sizeof(RouterAdvertisement));
    bool good = for_each_option(options, [](u8, std::span<const u8>) { });
    if (!good)
        return m_stack.statistics().icmp_in_errors.add();
    {
        Locked lock(m_lock);
        m_solicitations_left = 0;
    }
    if (auto mac = mac_option(options, k_option_source_mac))
        m_neighbours.learn(source, *mac, false, true, true, now);
    if (u16 seconds = advertisement->lifetime; seconds == 0) {
        if (auto removed = m_stack.routes().remove(IpAddress(), 0, source); removed.is_error()) { }
    } else {
        Route route { .network = IpAddress(),
            .prefix = 0,
            .gateway = source,
            .interface = this,
            .metric = 1024,
            .valid_until = lifetime(seconds, now) };
        if (auto added = m_stack.routes().add(route); added.is_error())
            log_warning("net: route of a router advertisement: {}", added.error());
    }
    for_each_option(options, [&](u8 type, std::span<const u8> option) {
        if (type == k_option_mtu) {
            u32 mtu = *header_at<Be32>(option, 4);
            if (mtu >= 1280 && mtu <= m_device.mtu())
                m_advertised_mtu.store(mtu, std::memory_order_relaxed);
        } else if (type == k_option_nameservers) {
            for (usize at = 8; at + 16 <= option.size(); at += 16)
                m_stack.learn_nameserver(IpAddress::from_wire(*header_at<WireAddress>(option, at)));
        } else if (type == k_option_prefix) {
            auto* prefix = header_at<PrefixOption>(option);
            constexpr u8 on_link = 0x80;
            constexpr u8 autonomous = 0x40;
            if (!prefix || prefix->prefix_length > 128)
                return;
            IpAddress network = IpAddress::from_wire(prefix->prefix);
            u32 valid = prefix->valid;
            u32 preferred = prefix->preferred;
            if (network.is_link_local() || network.is_multicast() || network.is_v4() || preferred > valid)
                return;
            if ((prefix->flags & on_link) != 0) {
                Route route { .network = network,
                    .prefix = prefix->prefix_length,
                    .interface = this,
                    .metric = 256,
                    .valid_until = lifetime(valid, now) };
                if (auto added = m_stack.routes().add(route); added.is_error()) { }
            }
            if ((prefix->flags & autonomous) == 0 || prefix->prefix_length != 64)
                return;
            IpAddress address = IpAddress::v6(network.high(), interface_identifier(m_device.mac()));
            {
                Locked lock(m_lock);
                if (InterfaceAddress* own = find_address(address)) {
                    own->preferred_until = lifetime(preferred, now);
                    // No advertisement may end an address within two hours (RFC 4862, 5.5.3 e).
                    Nanoseconds guard = now + Nanoseconds::from_seconds(7200);
                    Nanoseconds until = lifetime(valid, now);
                    own->valid_until = std::max(until, std::min(own->valid_until, guard));
                    if (own->state == InterfaceAddress::State::Deprecated && preferred > 0)
                        own->state = InterfaceAddress::State::Preferred;
                    return;
                }
            }
            if (valid == 0)
                return;
            InterfaceAddress added { .address = address,
                .prefix = 128,
                .state = InterfaceAddress::State::Optimistic,
                .preferred_until = lifetime(preferred, now),
                .valid_until = lifetime(valid, now) };
            if (auto result = add_address(added); result.is_error())
                log_warning("net: address of a router advertisement: {}", result.error());
        }
    });
    m_stack.paths_changed();
    maintain_soon();
}

void Interface::maintain_soon()
{
    m_stack.arm(m_maintenance_timer, m_stack.now());
}

void Interface::MaintenanceTimer::expire(Nanoseconds now)
{
    interface.maintain(now);
}

/// Whatever an interface does now and then: duplicate detection, solicitations, lifetimes, repeated group reports.
void Interface::maintain(Nanoseconds now)
{
    Nanoseconds next = Nanoseconds::max();
    std::array<IpAddress, k_max_addresses> to_check;
    std::array<IpAddress, k_max_addresses> to_remove;
    usize check_count = 0;
    usize remove_count = 0;
    bool solicit_router = false;
    bool changed = false;
    bool report = false;
    {
        Locked lock(m_lock);
        for (auto& address : std::span(m_addresses).first(m_address_count)) {
            if (address.address.is_v6() && address.state == InterfaceAddress::State::Optimistic) {
                // One probe, a second's patience (RFC 4862, DupAddrDetectTransmits).
                if (!address.probe_sent) {
                    address.probe_sent = true;
                    address.probed_at = now;
                    to_check[check_count++] = address.address;
                }
                if (now >= address.probed_at + Nanoseconds::from_seconds(1))
                    address.state = InterfaceAddress::State::Preferred;
                else
                    next = std::min(next, address.probed_at + Nanoseconds::from_seconds(1));
            }
            if (address.valid_until <= now) {
                to_remove[remove_count++] = address.address;
                continue;
            }
            if (address.preferred_until <= now && address.state == InterfaceAddress::State::Preferred) {
                address.state = InterfaceAddress::State::Deprecated;
                changed = true;
            }
            next = std::min(next, address.valid_until);
            if (address.preferred_until > now)
                next = std::min(next, address.preferred_until);
        }
        if (m_solicitations_left > 0 && now >= m_next_solicitation) {
            --m_solicitations_left;
            m_next_solicitation = now + k_solicitation_interval;
            solicit_router = true;
        }
        if (m_solicitations_left > 0)
            next = std::min(next, m_next_solicitation);
        for (Group& group : m_groups) {
            if (group.members > 0 && group.reports_left > 0) {
                report = true;
                if (group.reports_left > 1)
                    next = std::min(next, now + Nanoseconds::from_seconds(1));
            }
        }
    }
    m_stack.routes().expire(now);
    for (auto& address : std::span(to_check).first(check_count))
        m_stack.send_neighbour_solicitation(*this, address, nullptr, true);
    for (auto& address : std::span(to_remove).first(remove_count)) {
        if (auto removed = remove_address(address); removed.is_error()) { }
    }
    if (solicit_router) {
        struct Message {
            IcmpHeader header;
            MacOption option;
        } message { { k_router_solicitation, 0, 0, 0, 0 }, { k_option_source_mac, 1, m_device.mac() } };
        IpAddress source = source_for(k_all_routers).value_or(IpAddress());
        m_stack.send_icmpv6(*this, source, k_all_routers, nullptr, 255, bytes_of(message));
    }
    if (report) {
        send_group_reports(true, true, false, {});
        send_group_reports(false, true, false, {});
        Locked lock(m_lock);
        for (Group& group : m_groups) {
            if (group.reports_left > 0)
                --group.reports_left;
        }
    }
    if (changed || remove_count > 0)
        m_stack.paths_changed();
    if (next != Nanoseconds::max())
        m_stack.arm(m_maintenance_timer, next);
}

} // namespace eremite::net
