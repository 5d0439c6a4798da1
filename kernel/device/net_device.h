// What a network device is to the stack: Ethernet frames out and in, as Packets, in batches, with offloads.
//
// A driver derives from NetDevice, fills in the description in its constructor or init, and calls
// register_net_device(). The stack attaches itself as the client. Methods are called with preemption possibly disabled
// and stack spinlocks held, from any processor: they lock for themselves (a SpinLock per queue, never held while
// calling the client), never sleep, and never call back into the stack except through NetDeviceClient. None is called
// from interrupt handlers.
#pragma once

#include "base/types.h"
#include "device/packet.h"
#include <array>
#include <string_view>

namespace eremite {

using MacBytes = std::array<u8, 6>;

class NetDevice;

/// Who takes short frames where the device put them, before a Packet is made of them.
class ShortFrameTaker {
public:
    /// True: all that matters of `frame` was copied, and its memory is the device's again. False: it becomes a Packet.
    /// The transport's checksum is known to be good. Called with the driver's lock for receiving held.
    virtual bool take(std::span<const u8> frame) = 0;

protected:
    ~ShortFrameTaker() = default;
};

/// How a device tells the stack that something happened. Any context, interrupt handlers included.
class NetDeviceClient {
public:
    /// Packets can be received, a transmission asked about by notify_when_transmitted() is done, or link, MTU or MAC
    /// changed. Receive interrupts are off when this is called for received packets; the stack turns them on again.
    virtual void device_ready(NetDevice&) = 0;

protected:
    ~NetDeviceClient() = default;
};

/// Counted by the driver; read without a lock (/proc/net/dev).
struct NetDeviceStatistics {
    std::atomic<u64> received_packets { 0 };
    std::atomic<u64> received_bytes { 0 };
    std::atomic<u64> receive_errors { 0 };
    std::atomic<u64> receive_dropped { 0 };
    std::atomic<u64> transmitted_packets { 0 };
    std::atomic<u64> transmitted_bytes { 0 };
    std::atomic<u64> transmit_errors { 0 };
    std::atomic<u64> transmit_dropped { 0 };
};

class NetDevice {
public:
    /// What the device can do to packets on their way out; receiving needs no feature bit, packets say for themselves.
    struct Features {
        bool checksum { false }; // PacketOffload::needs_checksum
        bool tso4 { false }; // Segmentation::Tcp4, up to 64 KiB with headers
        bool tso6 { false };
        bool uso { false }; // Segmentation::Udp4 and Udp6
    };

    virtual ~NetDevice();

    /// "eth0", "lo".
    std::string_view name() const { return m_name; }
    MacBytes mac() const { return m_mac; }
    /// Largest network-layer packet (without the Ethernet header).
    u32 mtu() const { return m_mtu.load(std::memory_order_relaxed); }
    bool is_link_up() const { return m_link_up.load(std::memory_order_relaxed); }
    /// No Ethernet addressing and no ARP: what goes out comes in.
    bool is_loopback() const { return m_loopback; }
    Features features() const { return m_features; }
    NetDeviceStatistics& statistics() { return m_statistics; }

    /// Queues a frame that starts with its Ethernet header, without telling the device yet. Takes the packet and
    /// returns true, or leaves it and returns false when the queue is full (then notify_when_transmitted() says when to
    /// retry). The memory stays untouched until the device is done; the driver then drops its references, here or in
    /// is_transmit_idle(), so at most a queue's worth of packets is ever held.
    virtual bool transmit(Packet& packet) = 0;
    /// Tells the device of what transmit() queued since the last flush, once. Cheap when there is nothing.
    virtual void flush() = 0;
    /// Takes back what the device is done with; true if nothing is left with it. One memory read in the usual case.
    virtual bool is_transmit_idle() = 0;
    /// Asks for one device_ready() once what is now queued has been transmitted (or at once if it already has).
    virtual void notify_when_transmitted() = 0;

    /// Appends up to `budget` received frames to `list` and refills the device's buffers. Returns how many.
    virtual usize receive(PacketList& list, usize budget) = 0;
    /// Likewise, but `taker` is asked first for short frames, as long as none before them is in the list: so they keep
    /// their order. Returns how many there were of both.
    virtual usize receive_through(ShortFrameTaker&, PacketList& list, usize budget) { return receive(list, budget); }
    /// Whether receive() would find anything to do. Cheap; what it misses is found at the next look.
    virtual bool has_frames() { return true; }
    /// From now on an arrival calls device_ready(). Returns true if packets already wait: nothing was armed, poll
    /// again.
    virtual bool enable_receive_interrupts() = 0;
    /// While the stack polls. A hint: spurious calls are harmless.
    virtual void disable_receive_interrupts() = 0;

    /// Multicast frames for `mac` are wanted, or no longer. Devices that filter nothing ignore it.
    virtual void set_multicast(MacBytes, bool) { }
    /// Changes the address; EOPNOTSUPP where it is fixed.
    virtual Result<> set_mac(MacBytes) { return Errno::EOPNOTSUPP; }

    /// Done once by the stack, before it calls anything else.
    void set_client(NetDeviceClient* client) { m_client.store(client, std::memory_order_release); }

protected:
    /// `name` must outlive the device.
    explicit NetDevice(std::string_view name)
        : m_name(name)
    {
    }
    /// For drivers, in any context.
    void notify_client()
    {
        if (auto* client = m_client.load(std::memory_order_acquire))
            client->device_ready(*this);
    }
    void set_link_up(bool up) { m_link_up.store(up, std::memory_order_relaxed); }
    void set_mtu(u32 mtu) { m_mtu.store(mtu, std::memory_order_relaxed); }

    std::string_view m_name;
    MacBytes m_mac {};
    Features m_features {};
    bool m_loopback { false };

private:
    std::atomic<u32> m_mtu { 1500 };
    std::atomic<bool> m_link_up { true };
    std::atomic<NetDeviceClient*> m_client { nullptr };
    NetDeviceStatistics m_statistics;
};

/// Makes the device known, at Stage::Device; the stack takes all known ones at Stage::Subsystem, in this order.
/// Devices live for ever once registered.
void register_net_device(NetDevice& device);
/// Calls `visit(device, context)` for each registered device, in order. Not concurrent with registration.
void for_each_net_device(void (*visit)(NetDevice&, void* context), void* context);

} // namespace eremite
