// How a virtio device is reached, PCI or memory-mapped: features, queues, configuration, notifications, interrupts.
// Drivers see only this. A transport belongs to one driver and lives for ever.
#pragma once

#include "arch/interrupt.h"
#include "base/result.h"
#include "drivers/virtio/specification.h"
#include "drivers/virtio/virtqueue.h"
#include <string_view>

namespace eremite::virtio {

class Transport {
public:
    virtual ~Transport() = default;

    DeviceType type() const { return m_type; }
    /// "PCI 00:03.0", "MMIO 0xa003e00".
    std::string_view location() const { return { m_location.data(), m_location_length }; }

    /// From reset to FEATURES_OK (3.1.1): `wanted`, as far as the device offers it, and what every device needs.
    /// Returns what was agreed on, `unwanted` never. EPROTO: the device doesn't speak virtio 1, or refuses.
    Result<u64> negotiate(std::string_view driver, u64 wanted, u64 unwanted = 0);
    u64 features() const { return m_features; }
    bool has(u64 feature_bits) const { return (m_features & feature_bits) == feature_bits; }
    /// Makes queue `index` and gives it to the device, of at most `size_limit` entries. After negotiate(), before
    /// start(). ENODEV: the device has no such queue.
    Result<OwnPtr<Virtqueue>> create_queue(
        std::string_view owner, u16 index, u16 size_limit, u16 indirect_tables = 0, u16 indirect_length = 0);
    /// `handler` is called, in interrupt context, when the queue has completions (or for no reason). Before start().
    virtual Result<> set_queue_handler(u16 index, arch::InterruptHandler handler, void* context) = 0;
    /// Likewise when the configuration changed, or the device needs a reset.
    virtual Result<> set_configuration_handler(arch::InterruptHandler handler, void* context) = 0;
    /// The device begins to work (DRIVER_OK).
    void start() { write_status(read_status() | k_status_driver_ok); }
    /// The device forgets everything: it has no buffer any more. Handlers stay. False: it didn't answer in time.
    bool reset();
    bool needs_reset() { return (read_status() & k_status_needs_reset) != 0; }
    /// Tells the device that the driver has given up.
    void fail() { write_status(read_status() | k_status_failed); }

    /// Tells the device to look at a queue.
    virtual void notify(const Virtqueue& queue) = 0;
    void publish_and_notify(Virtqueue& queue)
    {
        if (queue.publish())
            notify(queue);
    }

    /// A field of the device's configuration; 0 where it is shorter than that. Wider ones are read until they are
    /// stable.
    u8 read_configuration8(usize offset) { return static_cast<u8>(read_configuration(offset, 1)); }
    u16 read_configuration16(usize offset) { return static_cast<u16>(read_configuration(offset, 2)); }
    u32 read_configuration32(usize offset) { return static_cast<u32>(read_configuration(offset, 4)); }
    u64 read_configuration64(usize offset);

protected:
    Transport() = default;
    void set_location(std::string_view text);

    virtual u64 device_features() = 0;
    virtual void set_driver_features(u64 features) = 0;
    virtual u8 read_status() = 0;
    virtual void write_status(u8 status) = 0;
    /// Greatest size of the queue; 0: there is no such queue.
    virtual u16 queue_size_limit(u16 index) = 0;
    virtual Result<> enable_queue(const Virtqueue& queue) = 0;
    virtual u32 configuration_generation() = 0;
    /// `width` is 1, 2 or 4.
    virtual u32 read_configuration(usize offset, usize width) = 0;

    DeviceType m_type {};

private:
    u64 m_features { 0 };
    std::array<char, 24> m_location {};
    usize m_location_length { 0 };
};

/// The next device of that type that no driver has taken yet, in the order in which they were found; null when there
/// are no more. The first call looks for all devices, so an image without drivers of virtio looks for none. Boot only.
Transport* take_device(DeviceType type);

} // namespace eremite::virtio
