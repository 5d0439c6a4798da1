// virtio-net (virtio 1.2, 5.1) as a NetDevice: one pair of queues, checksums and segmentation both ways, buffers merged
// by the device. No allocation per packet besides what packets are made of; the device is told once per batch.
//
// Transmit completions raise no interrupts unless somebody waits for them: they are taken back on the way.
#pragma once

#include "device/net_device.h"
#include "drivers/virtio/transport.h"
#include "sync/spin_lock.h"

namespace eremite::virtio {

/// A buffer while the device may write to it.
class ReceiveBuffer {
public:
    constexpr ReceiveBuffer() = default;
    explicit ReceiveBuffer(BufferRef buffer)
        : m_buffer(std::move(buffer))
    {
    }
    ReceiveBuffer(ReceiveBuffer&&) = default;
    ReceiveBuffer& operator=(ReceiveBuffer&&) = default;

    std::span<u8> bytes() const { return m_buffer->bytes(); }
    BufferRef take() { return std::move(m_buffer); }
    Buffer* release_token() { return m_buffer.leak(); }
    static ReceiveBuffer from_token(Buffer* token) { return ReceiveBuffer(BufferRef::adopt(token)); }

private:
    BufferRef m_buffer;
};

class NetDriver final : public NetDevice {
public:
    /// Drives the device behind `transport`, which is not started yet; `name` lives for ever.
    static Result<OwnPtr<NetDriver>> create(Transport& transport, std::string_view name);
    NetDriver(Transport& transport, std::string_view name)
        : NetDevice(name)
        , m_transport(transport)
    {
    }

    bool transmit(Packet& packet) override;
    void flush() override;
    bool is_transmit_idle() override;
    void notify_when_transmitted() override;
    usize receive(PacketList& list, usize budget) override { return receive_frames(nullptr, list, budget); }
    usize receive_through(ShortFrameTaker& taker, PacketList& list, usize budget) override
    {
        return receive_frames(&taker, list, budget);
    }
    bool has_frames() override;
    bool enable_receive_interrupts() override;
    void disable_receive_interrupts() override;
    Result<> set_mac(MacBytes mac) override;

private:
    /// struct virtio_net_hdr, little-endian as we are.
    struct Header {
        u8 flags { 0 };
        u8 segmentation { 0 };
        u16 header_length { 0 };
        u16 segment_size { 0 };
        u16 checksum_start { 0 };
        u16 checksum_offset { 0 };
        u16 buffer_count { 0 };
    };
    static_assert(sizeof(Header) == 12);

    static constexpr u16 k_receive_queue = 0;
    static constexpr u16 k_transmit_queue = 1;
    static constexpr u16 k_queue_size = 256;
    /// A packet up to this size is copied, and its buffer goes back to the device at once.
    static constexpr u32 k_copy_limit = 512;
    /// Up to this size, a full frame of the usual link among them, a ShortFrameTaker is asked first: its copy costs
    /// less than a new page for the device and a packet made of fragments.
    static constexpr u32 k_short_limit = 2048;

    Result<> bring_up() REQUIRES(m_receive_lock, m_transmit_lock);
    void recover();
    void fill_receive_queue() REQUIRES(m_receive_lock);
    usize receive_frames(ShortFrameTaker* taker, PacketList& list, usize budget);
    bool offer_short(ShortFrameTaker& taker) REQUIRES(m_receive_lock);
    bool receive_one(PacketList& list) REQUIRES(m_receive_lock);
    Packet assemble(ReceiveBuffer first, u32 length, u16 count) REQUIRES(m_receive_lock);
    void count_received(u32 length) REQUIRES(m_receive_lock);
    void repost(ReceiveBuffer buffer) REQUIRES(m_receive_lock);
    void take_back_transmitted() REQUIRES(m_transmit_lock);
    static Header describe(const PacketOffload& offload);
    static void describe(Packet& packet, const Header& header);
    void read_link();

    void on_receive_interrupt();
    void on_transmit_interrupt();
    void on_configuration_interrupt();

    Transport& m_transport;
    SpinLock m_receive_lock;
    BufferQueue<ReceiveBuffer> m_receive GUARDED_BY(m_receive_lock);
    u16 m_receive_buffers GUARDED_BY(m_receive_lock) { 0 }; // how many the device shall have
    SpinLock m_transmit_lock;
    BufferQueue<Packet> m_transmit GUARDED_BY(m_transmit_lock);
    OwnPtr<Virtqueue> m_control GUARDED_BY(m_transmit_lock);
    bool m_merges GUARDED_BY(m_receive_lock) { false };
    std::atomic<bool> m_lacks_buffers { false };
    std::atomic<bool> m_receive_armed { false };
    std::atomic<bool> m_wants_transmitted { false };
    std::atomic<bool> m_needs_reset { false };
    // For the interrupt handlers, which take no lock: the queues as they are while the device works.
    std::atomic<Virtqueue*> m_live_receive { nullptr };
    std::atomic<Virtqueue*> m_live_transmit { nullptr };
};

} // namespace eremite::virtio
