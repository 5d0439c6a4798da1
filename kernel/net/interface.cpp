#include "net/interface.h"

#include "base/log.h"
#include "net/segmentation.h"
#include "net/stack.h"

namespace eremite::net {

namespace {

constexpr MacBytes k_broadcast_mac { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

} // namespace

MacBytes multicast_mac(IpAddress group)
{
    u32 low = static_cast<u32>(group.low());
    auto byte = [low](unsigned shift) { return static_cast<u8>(low >> shift); };
    if (group.is_v4()) // RFC 1112, 6.4
        return { 0x01, 0x00, 0x5e, static_cast<u8>(byte(16) & 0x7f), byte(8), byte(0) };
    return { 0x33, 0x33, byte(24), byte(16), byte(8), byte(0) }; // RFC 2464, 7
}

Interface::Interface(Stack& stack, NetDevice& device, u32 index)
    : m_stack(stack)
    , m_device(device)
    , m_index(index)
    , m_neighbours(*this)
    , m_probe_timer(*this)
    , m_maintenance_timer(*this)
{
}

Interface::~Interface()
{
    m_stack.timers().cancel(m_probe_timer);
    m_stack.timers().cancel(m_maintenance_timer);
}

void Interface::ProbeTimer::expire(Nanoseconds now)
{
    interface.m_neighbours.probe(now);
}

void Interface::arm_probe(Nanoseconds deadline)
{
    if (!m_probe_timer.is_armed() || deadline < m_probe_timer.deadline())
        m_stack.arm(m_probe_timer, deadline);
}

InterfaceAddress* Interface::find_address(IpAddress address)
{
    for (auto& candidate : std::span(m_addresses).first(m_address_count)) {
        if (candidate.address == address)
            return &candidate;
    }
    return nullptr;
}

Result<> Interface::add_address(InterfaceAddress address)
{
    {
        Locked lock(m_lock);
        if (find_address(address.address))
            return Errno::EEXIST;
        if (m_address_count == k_max_addresses)
            return Errno::ENOSPC;
        m_addresses[m_address_count++] = address;
    }
    unsigned full = address.address.is_v4() ? 32 : 128;
    if (!is_loopback() && address.prefix < full)
        TRY(m_stack.routes().add({ .network = address.address, .prefix = address.prefix, .interface = this }));
    m_stack.paths_changed();
    if (!is_loopback() && address.address.is_v6()) {
        TRY(join_group(address.address.solicited_node()));
        maintain_soon();
    }
    announce(address.address);
    return {};
}

Result<> Interface::add_gateway(IpAddress gateway)
{
    auto route = m_stack.routes().find(gateway, this);
    bool on_link = route && !route->has_gateway();
    if (!on_link) {
        u8 full = gateway.is_v4() ? 32 : 128;
        TRY(m_stack.routes().add({ .network = gateway, .prefix = full, .interface = this }));
    }
    IpAddress any = gateway.is_v4() ? IpAddress::v4(0) : IpAddress();
    TRY(m_stack.routes().add({ .network = any, .prefix = 0, .gateway = gateway, .interface = this, .metric = 100 }));
    m_stack.paths_changed();
    return {};
}

Result<> Interface::remove_address(IpAddress address)
{
    u8 prefix = 0;
    {
        Locked lock(m_lock);
        InterfaceAddress* found = find_address(address);
        if (!found)
            return Errno::EADDRNOTAVAIL;
        prefix = found->prefix;
        *found = m_addresses[--m_address_count];
    }
    if (auto removed = m_stack.routes().remove(address, prefix, {}); removed.is_error()) {
    } // another address may have it
    if (address.is_v6() && !is_loopback()) {
        if (auto left = leave_group(address.solicited_node()); left.is_error()) { }
    }
    m_stack.paths_changed();
    return {};
}

void Interface::remove_v4_addresses()
{
    std::array<InterfaceAddress, k_max_addresses> copies;
    for (auto& address : std::span(copies).first(addresses(copies))) {
        if (address.address.is_v4()) {
            if (auto removed = remove_address(address.address); removed.is_error()) { }
        }
    }
    m_stack.routes().remove_all(*this, true);
    m_stack.paths_changed();
}

usize Interface::addresses(std::span<InterfaceAddress> copies)
{
    Locked lock(m_lock);
    usize count = std::min(copies.size(), m_address_count);
    std::ranges::copy(std::span(m_addresses).first(count), copies.begin());
    return count;
}

bool Interface::owns(IpAddress address)
{
    Locked lock(m_lock);
    InterfaceAddress* found = find_address(address);
    return found && found->state != InterfaceAddress::State::Duplicate;
}

u8 Interface::prefix_of(IpAddress address)
{
    Locked lock(m_lock);
    InterfaceAddress* found = find_address(address);
    return found ? found->prefix : 0;
}

bool Interface::is_broadcast(IpAddress address)
{
    if (!address.is_v4())
        return false;
    if (address.is_limited_broadcast())
        return true;
    Locked lock(m_lock);
    for (auto& own : std::span(m_addresses).first(m_address_count)) {
        if (!own.address.is_v4() || own.prefix >= 31 || own.prefix == 0)
            continue;
        u32 host_bits = UINT32_MAX >> own.prefix;
        if (address.as_v4() == (own.address.as_v4() | host_bits))
            return true;
    }
    return false;
}

bool Interface::accepts(IpAddress destination)
{
    if (destination.is_multicast())
        return is_member(destination);
    return owns(destination) || is_broadcast(destination) || m_unconfigured.load(std::memory_order_relaxed)
        || (is_loopback() && (destination.is_loopback() || m_stack.is_local(destination)));
}

std::optional<IpAddress> Interface::source_for(IpAddress destination)
{
    Locked lock(m_lock);
    const InterfaceAddress* best = nullptr;
    auto rank = [&](const InterfaceAddress& candidate) {
        int score = 0;
        if (candidate.address.is_link_local() == destination.is_link_local()
            || (destination.is_link_local_multicast() && candidate.address.is_link_local()))
            score += 4;
        if (candidate.state != InterfaceAddress::State::Deprecated)
            score += 2;
        if (destination.matches(candidate.address, candidate.prefix))
            score += 1;
        return score;
    };
    for (auto& candidate : std::span(m_addresses).first(m_address_count)) {
        if (candidate.address.is_v4() != destination.is_v4() || candidate.state == InterfaceAddress::State::Duplicate)
            continue;
        if (!best || rank(candidate) > rank(*best))
            best = &candidate;
    }
    if (!best)
        return {};
    return best->address;
}

void Interface::announce(IpAddress address)
{
    if (is_loopback() || !address.is_v4())
        return;
    // A gratuitous ARP request (RFC 5227, 3): neighbours with an older entry for the address correct it.
    solicit(address, nullptr);
}

bool Interface::output(Packet packet, u16 ethertype, const Path& path, IpAddress destination)
{
    if (path.neighbour) {
        Nanoseconds now = m_stack.now();
        if (path.neighbour->is_fresh(now)) [[likely]]
            return send_to_mac(std::move(packet), ethertype, path.neighbour->mac());
        m_neighbours.send(*path.neighbour, std::move(packet), ethertype, now);
        return true;
    }
    if (is_loopback())
        return send_to_mac(std::move(packet), ethertype, {});
    return send_to_mac(
        std::move(packet), ethertype, destination.is_multicast() ? multicast_mac(destination) : k_broadcast_mac);
}

bool Interface::send_to_mac(Packet packet, u16 ethertype, MacBytes destination)
{
    auto bytes = packet.prepend(sizeof(EthernetHeader));
    if (bytes.empty())
        return false;
    *header_at<EthernetHeader>(bytes) = { destination, m_device.mac(), ethertype };
    auto features = m_device.features();
    auto& offload = packet.offload();
    bool cut = false;
    switch (offload.segmentation) {
    case Segmentation::None:
        break;
    case Segmentation::Tcp4:
        cut = !features.tso4;
        break;
    case Segmentation::Tcp6:
        cut = !features.tso6;
        break;
    case Segmentation::Udp4:
    case Segmentation::Udp6:
        cut = !features.uso;
        break;
    }
    if (cut) {
        auto pieces = segment(packet);
        if (pieces.is_error())
            return false;
        bool any = false;
        while (!pieces.value().is_empty()) {
            Packet piece = pieces.value().pop_front();
            if (!features.checksum && !complete_checksum(piece))
                return false;
            // With a part of it in the queue, the rest counts as lost on the way.
            if (!transmit_frame(piece))
                return any;
            any = true;
        }
        return true;
    }
    if (offload.needs_checksum && !features.checksum && !complete_checksum(packet))
        return false;
    return transmit_frame(packet);
}

void Interface::send_resolved(Packet packet, u16 ethertype, MacBytes destination)
{
    send_to_mac(std::move(packet), ethertype, destination);
}

void Interface::unresolved(Packet packet, u16 ethertype)
{
    // Our own transport learns of it as if a router had said so.
    IpInfo info { .interface = this };
    auto head = packet.head();
    if (ethertype == k_ethertype_ipv4) {
        auto* ip = header_at<Ipv4Header>(head);
        if (!ip)
            return;
        info.source = info.destination = IpAddress::v4(ip->source);
        info.protocol = ip->protocol;
        info.header_length = static_cast<u16>(ip->header_length());
    } else {
        auto* ip = header_at<Ipv6Header>(head);
        if (!ip)
            return;
        info.source = info.destination = IpAddress::from_wire(ip->source);
        info.protocol = ip->next_header;
        info.header_length = sizeof(Ipv6Header);
    }
    m_stack.send_icmp_error(info, std::move(packet), IcmpError::HostUnreachable);
}

void Interface::solicit(IpAddress target, const MacBytes* mac)
{
    if (target.is_v6())
        return m_stack.send_neighbour_solicitation(*this, target, mac, false);
    auto created = Packet::create(k_packet_headroom, sizeof(ArpMessage));
    if (created.is_error())
        return;
    Packet packet = created.release_value();
    // Asking from the target's own address would poison caches; a gratuitous request does it on purpose.
    IpAddress source = owns(target) ? target : source_for(target).value_or(IpAddress::v4(0));
    *header_at<ArpMessage>(packet.head()) = ArpMessage { 1, k_ethertype_ipv4, 6, 4, ArpMessage::k_request,
        m_device.mac(), source.as_v4(), {}, target.as_v4() };
    send_to_mac(std::move(packet), k_ethertype_arp, mac ? *mac : k_broadcast_mac);
}

void Interface::handle_arp(Packet packet)
{
    if (!packet.make_contiguous(sizeof(ArpMessage)))
        return;
    ArpMessage message = *header_at<ArpMessage>(packet.head());
    if (message.hardware_type != 1 || message.protocol_type != k_ethertype_ipv4 || message.hardware_length != 6
        || message.protocol_length != 4 || (message.sender_mac[0] & 1) != 0)
        return;
    IpAddress sender = IpAddress::v4(message.sender_ip);
    IpAddress target = IpAddress::v4(message.target_ip);
    if (message.sender_mac == m_device.mac() || sender.is_multicast() || sender.is_limited_broadcast())
        return;
    Nanoseconds now = m_stack.now();
    if (!sender.is_unspecified()) {
        if (owns(sender)) {
            log_warning("net: {} is also used by another machine on {}", AddressText(sender), m_device.name());
            if (message.operation == ArpMessage::k_request)
                announce(sender);
            return;
        }
        bool for_us = owns(target);
        bool answers = message.operation == ArpMessage::k_reply && for_us;
        m_neighbours.learn(sender, message.sender_mac, answers, true, for_us, now);
    }
    if (message.operation != ArpMessage::k_request || !owns(target))
        return;
    auto created = Packet::create(k_packet_headroom, sizeof(ArpMessage));
    if (created.is_error())
        return;
    Packet reply = created.release_value();
    *header_at<ArpMessage>(reply.head()) = ArpMessage { 1, k_ethertype_ipv4, 6, 4, ArpMessage::k_reply, m_device.mac(),
        message.target_ip, message.sender_mac, message.sender_ip };
    send_to_mac(std::move(reply), k_ethertype_arp, message.sender_mac);
}

} // namespace eremite::net
