#include "net/stack.h"

#include "base/log.h"

namespace eremite::net {

Stack::Stack(Environment& environment)
    : m_environment(environment)
    , m_table_key { environment.random64(), environment.random64() }
    , m_secret { environment.random64(), environment.random64() }
    , m_reassembly_timer(*this)
    , m_raw(*this)
    , m_udp(*this)
    , m_tcp(*this)
{
    m_identification.store(static_cast<u16>(environment.random64()), std::memory_order_relaxed);
    m_timers.start(environment.now());
}

Stack::~Stack()
{
    m_tcp.shut_down();
    m_timers.cancel(m_reassembly_timer);
    for (auto* interface : interfaces())
        interface->device().set_client(nullptr);
}

Result<OwnPtr<Stack>> Stack::create(Environment& environment)
{
    auto stack = TRY(make<Stack>(environment));
    TRY(stack->m_tcp.initialize());
    auto* loopback = TRY(stack->add_device(stack->m_loopback_device));
    TRY(loopback->add_address({ .address = IpAddress::v4(127, 0, 0, 1), .prefix = 8 }));
    TRY(loopback->add_address({ .address = IpAddress::v6(0, 1), .prefix = 128 }));
    return stack;
}

Result<Interface*> Stack::add_device(NetDevice& device)
{
    if (m_interface_count == k_max_interfaces)
        return Errno::ENOSPC;
    auto interface = TRY(make<Interface>(*this, device, static_cast<u32>(m_interface_count + 1)));
    Interface* result = interface.get();
    m_owned_interfaces[m_interface_count] = std::move(interface);
    m_interfaces[m_interface_count++] = result;
    device.set_client(this);
    paths_changed();
    return result;
}

Interface* Stack::interface(u32 index)
{
    return index >= 1 && index <= m_interface_count ? m_interfaces[index - 1] : nullptr;
}

Interface* Stack::interface(std::string_view name)
{
    for (Interface* candidate : interfaces()) {
        if (candidate->device().name() == name)
            return candidate;
    }
    return nullptr;
}

bool Stack::is_local(IpAddress address)
{
    if (address.is_v4() && address.is_loopback())
        return true;
    for (Interface* candidate : interfaces()) {
        if (candidate->owns(address))
            return true;
    }
    return false;
}

Result<Path> Stack::find_path(IpAddress destination, IpAddress source, Interface* interface)
{
    Path path;
    path.generation = generation();
    if (destination.is_unspecified()) // Linux: the machine itself
        destination = destination.is_v4() ? IpAddress::v4(127, 0, 0, 1) : IpAddress::v6(0, 1);
    if (!source.is_unspecified() && !is_local(source))
        return Errno::EADDRNOTAVAIL;
    if (is_local(destination)) {
        path.interface = &loopback();
        path.source = source.is_unspecified() ? destination : source;
        path.next_hop = destination;
        path.mtu = loopback().mtu();
        return path;
    }
    bool to_link = destination.is_multicast() || destination.is_limited_broadcast();
    if (!interface && destination.is_link_local() && destination.is_v6() && m_interface_count > 1)
        interface = m_interfaces[1];
    path.next_hop = destination;
    if (auto route = m_routes.find(destination, interface)) {
        path.interface = route->interface;
        if (route->has_gateway())
            path.next_hop = route->gateway;
    } else if (interface) {
        path.interface = interface; // bound to a device: its link is all there is
    } else if (to_link && m_interface_count > 1) {
        path.interface = m_interfaces[1];
    } else {
        return Errno::ENETUNREACH;
    }
    if (to_link)
        path.next_hop = destination;
    path.source = source;
    if (source.is_unspecified()) {
        // Without an address only DHCP sends, and it is content with the unspecified one.
        auto chosen = path.interface->source_for(destination);
        if (!chosen && !to_link && !destination.is_link_local())
            return destination.is_v4() ? Errno::ENETUNREACH : Errno::EADDRNOTAVAIL;
        path.source = chosen.value_or(destination.is_v4() ? IpAddress::v4(0) : IpAddress());
    }
    Nanoseconds time = now();
    path.mtu = m_routes.path_mtu(destination, path.interface->mtu(), time);
    if (!to_link && !path.interface->is_broadcast(destination) && !path.interface->is_loopback())
        path.neighbour = TRY(path.interface->neighbours().get(path.next_hop, time));
    return path;
}

void Stack::receive(Interface& interface, Packet frame)
{
    if (!frame.make_contiguous(sizeof(EthernetHeader)))
        return;
    auto* ethernet = header_at<EthernetHeader>(frame.head());
    u16 type = ethernet->type;
    bool for_us = interface.is_loopback() || ethernet->destination == interface.device().mac()
        || (ethernet->destination[0] & 1) != 0;
    if (!for_us)
        return;
    frame.pull(sizeof(EthernetHeader));
    switch (type) {
    case k_ethertype_ipv4:
        receive_ipv4(interface, std::move(frame));
        break;
    case k_ethertype_ipv6:
        receive_ipv6(interface, std::move(frame));
        break;
    case k_ethertype_arp:
        if (!interface.is_loopback())
            interface.handle_arp(std::move(frame));
        break;
    default:
        break;
    }
}

bool Stack::poll_device(Interface& interface)
{
    struct Taker final : ShortFrameTaker {
        Taker(Stack& owner, Interface& from)
            : stack(owner)
            , interface(from)
        {
        }
        bool take(std::span<const u8> frame) override { return stack.take_short(interface, frame); }
        Stack& stack;
        Interface& interface;
    };
    Taker taker(*this, interface);
    PacketList list;
    if (interface.device().receive_through(taker, list, k_poll_budget) == 0)
        return false;
    while (!list.is_empty())
        receive(interface, list.pop_front());
    return true;
}

bool Stack::poll(IfBusy if_busy)
{
    if (!m_poll_lock.try_lock()) {
        if (if_busy == IfBusy::Leave)
            return false;
        m_missed.store(true, std::memory_order_relaxed);
        std::atomic_thread_fence(std::memory_order_seq_cst);
        if (!m_poll_lock.try_lock())
            return false; // whoever holds it looks at m_missed after letting go of it
    }
    bool any = poll_locked();
    m_poll_lock.unlock();
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (m_missed.load(std::memory_order_relaxed) && m_missed.exchange(false)) [[unlikely]]
        m_environment.work_arrived();
    return any;
}

bool Stack::poll_locked()
{
    m_poll_time = {};
    bool any = m_loopback_device.has_packets() && poll_device(loopback());
    for (Interface* interface : interfaces().subspan(1))
        any = poll_device(*interface) || any;
    any = run_timers() || any;
    // Connections that wait for an idle device are tried again when it says so, and whenever anybody polls anyway.
    if (m_ready.load(std::memory_order_relaxed) != 0 || any) {
        m_ready.store(0, std::memory_order_relaxed);
        m_tcp.device_idle();
    }
    if (m_tcp.has_pending())
        any = m_tcp.run_pending() || any;
    flush();
    return any;
}

bool Stack::run_timers()
{
    Nanoseconds deadline = next_deadline();
    if (deadline == Nanoseconds::max() || !m_environment.may_be_due(deadline))
        return false;
    Nanoseconds time = now();
    bool due = deadline <= time;
    if (due)
        m_timers.run(time);
    m_environment.deadline_changed();
    return due;
}

void Stack::flush_interfaces()
{
    // Whoever queues a frame says so afterwards, and flushes after that: nothing is missed.
    m_needs_flush.exchange(false, std::memory_order_acq_rel);
    for (Interface* interface : interfaces())
        interface->flush();
}

bool Stack::has_work()
{
    if (m_loopback_device.has_packets() || m_tcp.has_pending() || m_ready.load(std::memory_order_relaxed) != 0
        || m_needs_flush.load(std::memory_order_relaxed))
        return true;
    for (Interface* interface : interfaces().subspan(1)) {
        if (interface->device().has_frames())
            return true;
    }
    Nanoseconds deadline = next_deadline();
    return deadline != Nanoseconds::max() && m_environment.may_be_due(deadline);
}

void Stack::finish_pending()
{
    // What we sent to ourselves may be answered at once, and so on; a bounded number of turns is enough for an
    // exchange.
    for (int turn = 0; turn < 64 && (m_loopback_device.has_packets() || m_tcp.has_pending()); ++turn) {
        if (!poll())
            break;
    }
}

void Stack::arm(WheelTimer& timer, Nanoseconds deadline)
{
    if (m_timers.arm(timer, deadline))
        m_environment.deadline_changed();
}

Nanoseconds Stack::deadline_passed()
{
    Nanoseconds time = now();
    Nanoseconds deadline = next_deadline();
    if (deadline > time)
        return deadline;
    m_environment.work_arrived();
    return time + Nanoseconds::from_milliseconds(1);
}

bool Stack::enable_interrupts()
{
    if (m_loopback_device.has_packets())
        return true;
    bool waiting = false;
    for (Interface* interface : interfaces().subspan(1))
        waiting = interface->device().enable_receive_interrupts() || waiting;
    return waiting;
}

void Stack::disable_interrupts()
{
    for (Interface* interface : interfaces())
        interface->device().disable_receive_interrupts();
}

void Stack::device_ready(NetDevice&)
{
    m_ready.store(1, std::memory_order_relaxed);
    m_environment.work_arrived();
}

void Stack::learn_nameserver(IpAddress address)
{
    Locked lock(m_lock);
    auto known = std::span(m_nameservers).first(m_nameserver_count);
    if (std::ranges::find(known, address) != known.end() || m_nameserver_count == m_nameservers.size())
        return;
    m_nameservers[m_nameserver_count++] = address;
}

usize Stack::nameservers(std::span<IpAddress> copies)
{
    Locked lock(m_lock);
    usize count = std::min(copies.size(), m_nameserver_count);
    std::ranges::copy(std::span(m_nameservers).first(count), copies.begin());
    return count;
}

void Stack::set_search_domain(std::string_view domain)
{
    m_domain_length = std::min(domain.size(), m_domain.size());
    std::ranges::copy(domain.substr(0, m_domain_length), m_domain.begin());
}

} // namespace eremite::net
