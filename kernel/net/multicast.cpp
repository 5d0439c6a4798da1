// Multicast membership: IGMPv3 and MLDv2 from the host's side (RFC 3376, RFC 3810), any-source only.
#include "net/checksum.h"
#include "net/stack.h"

namespace eremite::net {

namespace {

constexpr u8 k_mode_is_exclude = 2;
constexpr u8 k_change_to_include = 3;
constexpr u8 k_change_to_exclude = 4;
constexpr u8 k_igmp_query = 0x11;
constexpr u8 k_igmp_report = 0x22;
constexpr u8 k_mld_report = 143;
constexpr u8 k_reports_per_change = 2; // robustness variable

const IpAddress k_igmp_routers = IpAddress::v4(224, 0, 0, 22);
const IpAddress k_mld_routers = IpAddress::v6(0xff02'0000'0000'0000, 0x16);

struct ReportHeader {
    u8 type;
    u8 reserved;
    Be16 checksum;
    Be16 flags;
    Be16 record_count;
};

struct Record4 {
    u8 type;
    u8 auxiliary_length;
    Be16 source_count;
    Be32 group;
};

struct Record6 {
    u8 type;
    u8 auxiliary_length;
    Be16 source_count;
    WireAddress group;
};

/// Every host is a member of these without saying so.
bool is_silent(IpAddress group)
{
    return group == IpAddress::v4(224, 0, 0, 1) || group == IpAddress::v6(0xff02'0000'0000'0000, 1)
        || (group.is_v6() && (group.high() >> 48 & 0xf) < 2);
}

} // namespace

Result<> Interface::join_group(IpAddress address)
{
    if (!address.is_multicast())
        return Errno::EINVAL;
    {
        Locked lock(m_lock);
        Group* place = nullptr;
        for (Group& group : m_groups) {
            if (group.members > 0 && group.address == address) {
                ++group.members;
                return {};
            }
            if (group.members == 0 && !place)
                place = &group;
        }
        if (!place)
            return Errno::ENOBUFS;
        *place = { address, 1, is_silent(address) ? u8 { 0 } : k_reports_per_change };
    }
    m_device.set_multicast(multicast_mac(address), true);
    if (!is_silent(address) && !is_loopback())
        maintain_soon();
    return {};
}

Result<> Interface::leave_group(IpAddress address)
{
    {
        Locked lock(m_lock);
        auto found = std::ranges::find_if(
            m_groups, [&](const Group& group) { return group.members > 0 && group.address == address; });
        if (found == m_groups.end())
            return Errno::EADDRNOTAVAIL;
        if (--found->members > 0)
            return {};
    }
    m_device.set_multicast(multicast_mac(address), false);
    if (!is_silent(address) && !is_loopback())
        send_group_reports(address.is_v4(), false, true, address);
    return {};
}

bool Interface::is_member(IpAddress address)
{
    if (address == IpAddress::v4(224, 0, 0, 1))
        return true;
    Locked lock(m_lock);
    return std::ranges::any_of(
        m_groups, [&](const Group& group) { return group.members > 0 && group.address == address; });
}

void Interface::group_query(bool v4, IpAddress)
{
    // Answered for all groups: fewer states than delaying per group, and a host has few of them.
    send_group_reports(v4, false, false, {});
}

void Interface::send_group_reports(bool v4, bool only_pending, bool leaving, IpAddress leaving_group)
{
    std::array<IpAddress, k_max_groups> groups;
    usize count = 0;
    if (leaving) {
        groups[count++] = leaving_group;
    } else {
        Locked lock(m_lock);
        for (const Group& group : m_groups) {
            if (group.members > 0 && group.address.is_v4() == v4 && !is_silent(group.address)
                && (!only_pending || group.reports_left > 0))
                groups[count++] = group.address;
        }
    }
    if (count == 0)
        return;
    u8 type = leaving ? k_change_to_include : only_pending ? k_change_to_exclude : k_mode_is_exclude;
    usize record_size = v4 ? sizeof(Record4) : sizeof(Record6);
    std::array<u8, sizeof(ReportHeader) + k_max_groups * sizeof(Record6)> storage {};
    auto message = std::span(storage).first(sizeof(ReportHeader) + count * record_size);
    *header_at<ReportHeader>(message) = { v4 ? k_igmp_report : k_mld_report, 0, 0, 0, static_cast<u16>(count) };
    for (usize i = 0; i < count; ++i) {
        usize at = sizeof(ReportHeader) + i * record_size;
        if (v4)
            *header_at<Record4>(message, at) = { type, 0, 0, groups[i].as_v4() };
        else
            *header_at<Record6>(message, at) = { type, 0, 0, groups[i].to_wire() };
    }
    // Both go with a router alert and a hop limit of 1 (RFC 3376, 4; RFC 3810, 5).
    if (v4)
        m_stack.send_igmp(*this, k_igmp_routers, message);
    else
        m_stack.send_mld(*this, k_mld_routers, message);
}

void Stack::send_igmp(Interface& interface, IpAddress destination, std::span<u8> message)
{
    header_at<ReportHeader>(message)->checksum = 0;
    header_at<ReportHeader>(message)->checksum = checksum_of(message);
    auto created = Packet::create(k_packet_headroom, static_cast<u32>(message.size()));
    if (created.is_error())
        return;
    Packet packet = created.release_value();
    std::ranges::copy(message, packet.head().begin());
    struct Header {
        Ipv4Header ip;
        std::array<u8, 4> router_alert;
    };
    auto bytes = packet.prepend(sizeof(Header));
    if (bytes.empty())
        return;
    IpAddress source = interface.source_for(destination).value_or(IpAddress::v4(0));
    auto* header = header_at<Header>(bytes);
    header->ip = Ipv4Header { 0x46, 0xc0, static_cast<u16>(sizeof(Header) + message.size()), 0,
        Ipv4Header::k_dont_fragment, 1, Protocol::Igmp, 0, source.as_v4(), destination.as_v4() };
    header->router_alert = { 0x94, 4, 0, 0 };
    header->ip.checksum = checksum_of(bytes);
    interface.send_to_mac(std::move(packet), k_ethertype_ipv4, multicast_mac(destination));
}

void Stack::send_mld(Interface& interface, IpAddress destination, std::span<u8> message)
{
    IpAddress source = interface.source_for(destination).value_or(IpAddress());
    if (!source.is_link_local())
        source = IpAddress();
    auto* header = header_at<ReportHeader>(message);
    header->checksum = 0;
    Checksum sum;
    sum.add_pseudo_header(source, destination, Protocol::Icmpv6, static_cast<u32>(message.size()));
    sum.add(message);
    header->checksum = sum.finish();
    auto created = Packet::create(k_packet_headroom, static_cast<u32>(message.size()));
    if (created.is_error())
        return;
    Packet packet = created.release_value();
    std::ranges::copy(message, packet.head().begin());
    struct Headers {
        Ipv6Header ip;
        std::array<u8, 8> hop_by_hop;
    };
    auto bytes = packet.prepend(sizeof(Headers));
    if (bytes.empty())
        return;
    *header_at<Headers>(bytes) = { { 6u << 28, static_cast<u16>(message.size() + 8), Protocol::HopByHop, 1,
                                       source.to_wire(), destination.to_wire() },
        { static_cast<u8>(Protocol::Icmpv6), 0, 5, 2, 0, 0, 1, 0 } };
    interface.send_to_mac(std::move(packet), k_ethertype_ipv6, multicast_mac(destination));
}

void Stack::receive_igmp(const IpInfo& info, Packet packet)
{
    packet.pull(info.header_length);
    Checksum sum;
    sum.add(packet, 0, packet.length());
    if (!packet.make_contiguous(8) || !sum.is_valid())
        return;
    if (packet.head()[0] == k_igmp_query)
        info.interface->group_query(true, {});
}

} // namespace eremite::net
