// The TCP/IP stack. It knows devices by NetDevice and time by Environment, and owns no thread: whoever waits for
// something calls poll(), which takes what devices received through all layers and runs the timers that are due.
//
// Packets go: NetDevice::receive -> Stack::receive -> Tcp/Udp/Raw -> socket; and socket -> Stack::output ->
// Interface::output -> NetDevice::transmit. Devices are told of new packets once, by finish(), which every operation
// that may have sent something ends with, holding no lock.
#pragma once

#include "base/vector.h"
#include "device/net_device.h"
#include "net/environment.h"
#include "net/interface.h"
#include "net/ip.h"
#include "net/loopback.h"
#include "net/reassembly.h"
#include "net/routing.h"
#include "net/siphash.h"
#include "net/statistics.h"
#include "net/tcp/layer.h"
#include "net/timer_wheel.h"
#include "net/udp.h"

namespace eremite::net {

class RawSocket;

class Stack final : public NetDeviceClient {
public:
    /// With its loopback interface. ENOMEM.
    static Result<OwnPtr<Stack>> create(Environment& environment);
    explicit Stack(Environment& environment);
    ~Stack();

    Environment& environment() { return m_environment; }
    Nanoseconds now() { return m_environment.now(); }
    Statistics& statistics() { return m_statistics; }
    TimerWheel& timers() { return m_timers; }
    RouteTable& routes() { return m_routes; }
    Tcp& tcp() { return m_tcp; }
    Udp& udp() { return m_udp; }
    RawSockets& raw() { return m_raw; }
    const HashKey& table_key() const { return m_table_key; }
    const HashKey& secret() const { return m_secret; }

    /// Takes a device into use, without an address. Before packets flow. ENOMEM, ENOSPC.
    Result<Interface*> add_device(NetDevice& device);
    /// Null if there is none.
    Interface* interface(u32 index);
    Interface* interface(std::string_view name);
    std::span<Interface* const> interfaces() const { return std::span(m_interfaces).first(m_interface_count); }
    Interface& loopback() { return *m_interfaces[0]; }

    /// How to reach `destination`; `source` unspecified: one is chosen; `interface` null: any.
    /// ENETUNREACH, EADDRNOTAVAIL.
    Result<Path> find_path(IpAddress destination, IpAddress source, Interface* interface);
    u32 generation() const { return m_generation.load(std::memory_order_acquire); }
    /// Routes or addresses changed: paths are to be found anew.
    void paths_changed() { m_generation.fetch_add(1, std::memory_order_release); }
    /// Whether a socket may bind to it: an address of ours, or loopback.
    bool is_local(IpAddress address);

    /// Sends a transport packet (header first). EMSGSIZE; ENOBUFS when it was dropped here.
    Result<> output(Packet packet, const Path& path, IpAddress destination, const IpOutput& options);
    /// Takes a frame from a device.
    void receive(Interface& interface, Packet frame);
    /// Takes a short frame where it lies, if it holds what a connection expects next; see fast_path.cpp.
    bool take_short(Interface& interface, std::span<const u8> frame);
    /// The identification of an IPv4 packet that may be cut on its way; pieces count it on.
    u16 next_identification() { return m_identification.fetch_add(64, std::memory_order_relaxed); }
    /// Answers `packet` (IP header first) with an error, unless it must not be (RFC 1122, 3.2.2).
    void send_icmp_error(const IpInfo& info, Packet packet, IcmpError error, u32 mtu = 0);

    /// An ICMPv6 message to one or all on the link; `mac` null: found by neighbour discovery.
    void send_icmpv6(Interface& interface, IpAddress source, IpAddress destination, const MacBytes* mac, u8 hop_limit,
        std::span<const u8> message);
    void send_neighbour_solicitation(Interface& interface, IpAddress target, const MacBytes* mac, bool duplicate_check);
    /// Membership reports; the checksum is filled in.
    void send_igmp(Interface& interface, IpAddress destination, std::span<u8> message);
    void send_mld(Interface& interface, IpAddress destination, std::span<u8> message);

    /// What to do when another thread is at polling, and perhaps already past what there is to do: nothing, or, as
    /// whoever goes to sleep must, have the environment hear of it once that thread is done (work_arrived()).
    enum class IfBusy : u8 { Leave, HandOver };
    /// Processes what is there. True if there was anything; false also when another thread is at it.
    bool poll(IfBusy = IfBusy::Leave);
    /// Tells devices of what was queued, and delivers what was sent to ourselves.
    void finish()
    {
        flush();
        if (m_loopback_device.has_packets() || m_tcp.has_pending()) [[unlikely]]
            finish_pending();
    }
    /// Whether poll() would find anything to do.
    bool has_work();
    /// When poll() has to be called at the latest. max(): only when a device says so.
    Nanoseconds next_deadline() const { return m_timers.next_deadline(); }
    /// For the environment's timer, when it fires. What was due may have moved since, and nobody told the environment;
    /// or it is due, and is moved before anybody comes to poll: so the timer is to fire again when this says (max():
    /// not at all), until deadline_changed() says otherwise. Any context.
    Nanoseconds deadline_passed();
    /// Like TimerWheel::arm, and tells the environment if it is to call earlier.
    void arm(WheelTimer& timer, Nanoseconds deadline);
    /// A connection has something to send as soon as its device is idle.
    void send_when_idle(Interface& interface);
    /// Switches device interrupts for arrivals on; true if something already waits.
    bool enable_interrupts();
    void disable_interrupts();
    /// An interface has queued frames that its device was not told of.
    void needs_flush() { m_needs_flush.store(true, std::memory_order_release); }

    void device_ready(NetDevice& device) override;

    /// See Environment::wait().
    template<typename Condition> Result<> wait(WaitQueue& queue, Condition condition, Nanoseconds deadline)
    {
        return m_environment.wait(
            *this, queue, [](void* context) { return (*static_cast<Condition*>(context))(); }, &condition, deadline);
    }

    /// Nameservers that DHCP or router advertisements gave.
    void learn_nameserver(IpAddress address);
    usize nameservers(std::span<IpAddress> copies);
    /// DHCP's domain, for resolv.conf.
    void set_search_domain(std::string_view domain);
    std::string_view search_domain() const { return { m_domain.data(), m_domain_length }; }

private:
    struct ReassemblyTimer final : WheelTimer {
        explicit ReassemblyTimer(Stack& owner)
            : stack(owner)
        {
        }
        bool retain() override { return true; }
        void expire(Nanoseconds now) override;
        Stack& stack;
    };

    void receive_ipv4(Interface& interface, Packet packet);
    void receive_ipv6(Interface& interface, Packet packet);
    void reassemble(IpInfo& info, Packet packet, u32 identification, u32 offset, bool more);
    void deliver(const IpInfo& info, Packet packet);
    void receive_icmp(const IpInfo& info, Packet packet);
    void receive_icmpv6(const IpInfo& info, Packet packet);
    void receive_neighbour_message(const IpInfo& info, std::span<const u8> message);
    void receive_icmp_error(const IpInfo& info, std::span<const u8> quoted, IcmpError error, u32 mtu);
    void receive_igmp(const IpInfo& info, Packet packet);
    void report(const IcmpReport& report);
    Result<> output_ipv4(Packet packet, const Path& path, IpAddress destination, const IpOutput& options);
    Result<> output_ipv6(Packet packet, const Path& path, IpAddress destination, const IpOutput& options);
    Result<> fragment_ipv4(Packet packet, const Path& path, IpAddress destination, const IpOutput& options);
    Result<> fragment_ipv6(Packet packet, const Path& path, IpAddress destination, const IpOutput& options);
    bool may_send_icmp_error(const IpInfo& info, Packet& packet);
    bool poll_device(Interface& interface) REQUIRES(m_poll_lock);
    bool run_timers() REQUIRES(m_poll_lock);
    void finish_pending();
    void flush()
    {
        if (m_needs_flush.load(std::memory_order_relaxed))
            flush_interfaces();
    }
    void flush_interfaces();
    /// The time at which this poll found its first frame.
    Nanoseconds poll_time()
    {
        if (m_poll_time == Nanoseconds())
            m_poll_time = now();
        return m_poll_time;
    }

    Environment& m_environment;
    Statistics m_statistics;
    TimerWheel m_timers;
    HashKey m_table_key;
    HashKey m_secret;
    RouteTable m_routes;
    Reassembly m_reassembly;
    ReassemblyTimer m_reassembly_timer;
    std::atomic<u32> m_generation { 1 };
    std::atomic<u16> m_identification { 0 };
    std::atomic<i64> m_icmp_credit { 0 };

    LoopbackDevice m_loopback_device;
    static constexpr usize k_max_interfaces = 9;
    std::array<OwnPtr<Interface>, k_max_interfaces> m_owned_interfaces;
    std::array<Interface*, k_max_interfaces> m_interfaces {};
    usize m_interface_count { 0 };

    static constexpr usize k_poll_budget = 64;
    bool poll_locked() REQUIRES(m_poll_lock);
    SpinLock m_poll_lock;
    /// A poll found another thread polling, and relies on it.
    std::atomic<bool> m_missed { false };
    Nanoseconds m_poll_time {}; // of whoever polls; zero: not looked at yet
    std::atomic<u32> m_ready { 0 };
    std::atomic<bool> m_needs_flush { false };

    SpinLock m_lock;
    std::array<IpAddress, 4> m_nameservers GUARDED_BY(m_lock) {};
    usize m_nameserver_count GUARDED_BY(m_lock) { 0 };
    std::array<char, 64> m_domain {};
    usize m_domain_length { 0 };

    RawSockets m_raw;
    Udp m_udp;
    Tcp m_tcp;
};

inline bool Interface::transmit_frame(Packet& frame)
{
    bool taken = m_device.transmit(frame);
    m_dirty.store(true, std::memory_order_relaxed);
    m_stack.needs_flush();
    return taken;
}

} // namespace eremite::net
