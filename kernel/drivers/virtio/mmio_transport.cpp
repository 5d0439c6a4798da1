#include "drivers/virtio/mmio_transport.h"

#include "base/log.h"
#include "mm/device_memory.h"

namespace eremite::virtio {

namespace {

constexpr usize k_magic = 0x000;
constexpr usize k_version = 0x004;
constexpr usize k_device_id = 0x008;
constexpr usize k_device_features = 0x010;
constexpr usize k_device_features_select = 0x014;
constexpr usize k_driver_features = 0x020;
constexpr usize k_driver_features_select = 0x024;
constexpr usize k_queue_select = 0x030;
constexpr usize k_queue_size_limit = 0x034;
constexpr usize k_queue_size = 0x038;
constexpr usize k_queue_ready = 0x044;
constexpr usize k_queue_notify = 0x050;
constexpr usize k_interrupt_status = 0x060;
constexpr usize k_interrupt_acknowledge = 0x064;
constexpr usize k_status = 0x070;
constexpr usize k_queue_descriptors = 0x080;
constexpr usize k_queue_driver = 0x090;
constexpr usize k_queue_device = 0x0a0;
constexpr usize k_configuration_generation = 0x0fc;
constexpr usize k_configuration = 0x100;
constexpr u32 k_magic_value = 0x74726976; // "virt"

} // namespace

Result<OwnPtr<Transport>> MmioTransport::create(const arch::VirtioMmioSlot& slot)
{
    if (slot.registers.length < k_configuration)
        return Errno::ENODEV;
    Registers registers(TRY(map_device_memory(slot.registers)), slot.registers.length);
    if (registers.read32(k_magic) != k_magic_value || registers.read32(k_device_id) == 0)
        return Errno::ENODEV;
    if (registers.read32(k_version) != 2) {
        log_error("virtio: the device at {} is older than virtio 1 (with QEMU, add -global "
                  "virtio-mmio.force-legacy=false)",
            slot.registers.start);
        return Errno::EPROTO;
    }
    auto transport = TRY(make<MmioTransport>(slot, registers));
    return OwnPtr<Transport>(std::move(transport));
}

MmioTransport::MmioTransport(const arch::VirtioMmioSlot& slot, Registers registers)
    : m_registers(registers)
    , m_slot(slot)
{
    m_type = static_cast<DeviceType>(registers.read32(k_device_id));
    std::array<char, 24> text;
    set_location(format(text, "MMIO {}", slot.registers.start));
}

Result<> MmioTransport::bind()
{
    if (m_bound)
        return {};
    TRY(arch::bind_wired_interrupt(
        m_slot.interrupt, m_slot.trigger, [](void* self) { static_cast<MmioTransport*>(self)->on_interrupt(); }, this));
    m_bound = true;
    return {};
}

void MmioTransport::on_interrupt()
{
    u32 status = m_registers.read32(k_interrupt_status);
    if (status == 0)
        return;
    m_registers.write32(k_interrupt_acknowledge, status);
    if ((status & 1) != 0) {
        for (const Handler& handler : m_queue_handlers) {
            if (handler.function)
                handler.function(handler.context);
        }
    }
    if ((status & 2) != 0 && m_configuration_handler.function)
        m_configuration_handler.function(m_configuration_handler.context);
}

Result<> MmioTransport::set_queue_handler(u16 index, arch::InterruptHandler handler, void* context)
{
    if (index >= k_max_queues)
        return Errno::ENOSPC;
    m_queue_handlers[index] = { handler, context };
    return bind();
}

Result<> MmioTransport::set_configuration_handler(arch::InterruptHandler handler, void* context)
{
    m_configuration_handler = { handler, context };
    return bind();
}

void MmioTransport::notify(const Virtqueue& queue)
{
    m_registers.write32(k_queue_notify, queue.index());
}

u64 MmioTransport::device_features()
{
    m_registers.write32(k_device_features_select, 1);
    u64 high = m_registers.read32(k_device_features);
    m_registers.write32(k_device_features_select, 0);
    return high << 32 | m_registers.read32(k_device_features);
}

void MmioTransport::set_driver_features(u64 features)
{
    m_registers.write32(k_driver_features_select, 1);
    m_registers.write32(k_driver_features, static_cast<u32>(features >> 32));
    m_registers.write32(k_driver_features_select, 0);
    m_registers.write32(k_driver_features, static_cast<u32>(features));
}

u8 MmioTransport::read_status()
{
    return static_cast<u8>(m_registers.read32(k_status));
}

void MmioTransport::write_status(u8 status)
{
    m_registers.write32(k_status, status);
}

u16 MmioTransport::queue_size_limit(u16 index)
{
    m_registers.write32(k_queue_select, index);
    u32 limit = m_registers.read32(k_queue_size_limit);
    return static_cast<u16>(limit > 32768 ? 32768 : limit);
}

Result<> MmioTransport::enable_queue(const Virtqueue& queue)
{
    m_registers.write32(k_queue_select, queue.index());
    if (m_registers.read32(k_queue_ready) != 0)
        return Errno::EBUSY;
    m_registers.write32(k_queue_size, queue.size());
    m_registers.write64(k_queue_descriptors, queue.descriptor_area().value());
    m_registers.write64(k_queue_driver, queue.driver_area().value());
    m_registers.write64(k_queue_device, queue.device_area().value());
    m_registers.write32(k_queue_ready, 1);
    return {};
}

u32 MmioTransport::configuration_generation()
{
    return m_registers.read32(k_configuration_generation);
}

u32 MmioTransport::read_configuration(usize offset, usize width)
{
    usize at = k_configuration + offset;
    if (at + width > m_registers.size())
        return 0;
    switch (width) {
    case 1:
        return m_registers.read8(at);
    case 2:
        return m_registers.read16(at);
    default:
        return m_registers.read32(at);
    }
}

} // namespace eremite::virtio
