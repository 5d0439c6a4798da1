#include "drivers/virtio/pci_transport.h"

#include "base/log.h"
#include "mm/device_memory.h"

namespace eremite::virtio {

namespace {

constexpr u16 k_vendor = 0x1af4;
constexpr u16 k_first_transitional = 0x1000;
constexpr u16 k_first_modern = 0x1040;
constexpr u8 k_capability_vendor = 0x09;

// Kinds of virtio's vendor capabilities.
constexpr u8 k_kind_common = 1;
constexpr u8 k_kind_notify = 2;
constexpr u8 k_kind_device = 4;

// The common configuration.
constexpr usize k_device_features_select = 0x00;
constexpr usize k_device_features = 0x04;
constexpr usize k_driver_features_select = 0x08;
constexpr usize k_driver_features = 0x0c;
constexpr usize k_configuration_vector = 0x10;
constexpr usize k_status = 0x14;
constexpr usize k_generation = 0x15;
constexpr usize k_queue_select = 0x16;
constexpr usize k_queue_size = 0x18;
constexpr usize k_queue_vector = 0x1a;
constexpr usize k_queue_enable = 0x1c;
constexpr usize k_queue_notify_offset = 0x1e;
constexpr usize k_queue_descriptors = 0x20;
constexpr usize k_queue_driver = 0x28;
constexpr usize k_queue_device = 0x30;
constexpr usize k_common_size = 0x38;

} // namespace

PciTransport::PciTransport(pci::Function function)
    : m_function(function)
{
    m_vectors.fill(k_no_vector);
    std::array<char, 24> text;
    set_location(format(text, "PCI {}:{}.{}", function.bus(), function.device(), function.number()));
}

Result<Registers> PciTransport::map_capability(u8 capability) const
{
    auto at = [&](unsigned offset) { return static_cast<u8>(capability + offset); };
    PhysicalRange bar = TRY(m_function.bar(m_function.read8(at(4))));
    u32 offset = m_function.read32(at(8));
    u32 length = m_function.read32(at(12));
    if (length == 0 || offset > bar.length || length > bar.length - offset)
        return Errno::EINVAL;
    // Notification areas can be large, and we need a few words of them.
    constexpr u32 k_most = 64_KiB;
    length = length > k_most ? k_most : length;
    return Registers(TRY(map_device_memory({ bar.start + offset, length })), length);
}

Result<OwnPtr<Transport>> PciTransport::create(pci::Function function)
{
    u16 id = function.device_id();
    if (function.vendor() != k_vendor || id < k_first_transitional || id >= k_first_modern + 0x40)
        return Errno::ENODEV;
    auto transport = TRY(make<PciTransport>(function));
    PciTransport& self = *transport;
    // The first capability of each kind is the one to prefer (4.1.4).
    for (u8 at = function.find_capability(k_capability_vendor); at != 0 && at < 0xf0;
        at = function.find_capability(k_capability_vendor, at)) {
        u8 kind = function.read8(static_cast<u8>(at + 3));
        if (kind == k_kind_common && !self.m_common) {
            self.m_common = TRY(self.map_capability(at));
        } else if (kind == k_kind_notify && !self.m_notify) {
            self.m_notify = TRY(self.map_capability(at));
            self.m_notify_multiplier = function.read32(static_cast<u8>(at + 16));
        } else if (kind == k_kind_device && !self.m_configuration) {
            self.m_configuration = TRY(self.map_capability(at));
        }
    }
    if (self.m_common.size() < k_common_size || !self.m_notify) {
        log_error(
            "virtio: the device at {} is older than virtio 1 (with QEMU, add disable-legacy=on)", self.location());
        return Errno::EPROTO;
    }
    if (id >= k_first_modern)
        self.m_type = static_cast<DeviceType>(id - k_first_modern);
    else
        self.m_type = static_cast<DeviceType>(function.read16(0x2e)); // transitional: the subsystem id
    function.enable();
    return OwnPtr<Transport>(std::move(transport));
}

Result<u16> PciTransport::bind_vector(arch::InterruptHandler handler, void* context)
{
    if (m_messages.size() == 0)
        m_messages = TRY(pci::MessageTable::create(m_function));
    TRY(m_messages.bind(m_next_vector, handler, context));
    return m_next_vector++;
}

Result<> PciTransport::set_queue_handler(u16 index, arch::InterruptHandler handler, void* context)
{
    if (index >= k_max_queues)
        return Errno::ENOSPC;
    if (m_vectors[index] == k_no_vector)
        m_vectors[index] = TRY(bind_vector(handler, context));
    m_common.write16(k_queue_select, index);
    m_common.write16(k_queue_vector, m_vectors[index]);
    return m_common.read16(k_queue_vector) == m_vectors[index] ? Result<> {} : Errno::ENOSPC;
}

Result<> PciTransport::set_configuration_handler(arch::InterruptHandler handler, void* context)
{
    if (m_configuration_vector == k_no_vector)
        m_configuration_vector = TRY(bind_vector(handler, context));
    m_common.write16(k_configuration_vector, m_configuration_vector);
    return m_common.read16(k_configuration_vector) == m_configuration_vector ? Result<> {} : Errno::ENOSPC;
}

void PciTransport::notify(const Virtqueue& queue)
{
    m_notify.write16(m_notify_offsets[queue.index()], queue.index());
}

u64 PciTransport::device_features()
{
    m_common.write32(k_device_features_select, 1);
    u64 high = m_common.read32(k_device_features);
    m_common.write32(k_device_features_select, 0);
    return high << 32 | m_common.read32(k_device_features);
}

void PciTransport::set_driver_features(u64 features)
{
    m_common.write32(k_driver_features_select, 1);
    m_common.write32(k_driver_features, static_cast<u32>(features >> 32));
    m_common.write32(k_driver_features_select, 0);
    m_common.write32(k_driver_features, static_cast<u32>(features));
}

u8 PciTransport::read_status()
{
    return m_common.read8(k_status);
}

void PciTransport::write_status(u8 status)
{
    m_common.write8(k_status, status);
}

u16 PciTransport::queue_size_limit(u16 index)
{
    if (index >= k_max_queues)
        return 0;
    m_common.write16(k_queue_select, index);
    return m_common.read16(k_queue_size);
}

Result<> PciTransport::enable_queue(const Virtqueue& queue)
{
    m_common.write16(k_queue_select, queue.index());
    m_common.write16(k_queue_size, queue.size());
    u64 notify_offset = u64 { m_common.read16(k_queue_notify_offset) } * m_notify_multiplier;
    if (notify_offset + 2 > m_notify.size())
        return Errno::EINVAL;
    m_notify_offsets[queue.index()] = static_cast<u32>(notify_offset);
    m_common.write64(k_queue_descriptors, queue.descriptor_area().value());
    m_common.write64(k_queue_driver, queue.driver_area().value());
    m_common.write64(k_queue_device, queue.device_area().value());
    m_common.write16(k_queue_enable, 1);
    return {};
}

u32 PciTransport::configuration_generation()
{
    return m_common.read8(k_generation);
}

u32 PciTransport::read_configuration(usize offset, usize width)
{
    if (offset + width > m_configuration.size())
        return 0;
    switch (width) {
    case 1:
        return m_configuration.read8(offset);
    case 2:
        return m_configuration.read16(offset);
    default:
        return m_configuration.read32(offset);
    }
}

} // namespace eremite::virtio
