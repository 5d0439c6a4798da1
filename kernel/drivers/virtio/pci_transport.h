// virtio over PCI (virtio 1.2, 4.1), modern devices only; interrupts by MSI-X.
#pragma once

#include "drivers/pci/pci.h"
#include "drivers/registers.h"
#include "drivers/virtio/transport.h"

namespace eremite::virtio {

class PciTransport final : public Transport {
public:
    /// ENODEV: `function` is no virtio device; EPROTO: one older than virtio 1 (logged).
    static Result<OwnPtr<Transport>> create(pci::Function function);

    explicit PciTransport(pci::Function function);
    Result<> set_queue_handler(u16 index, arch::InterruptHandler handler, void* context) override;
    Result<> set_configuration_handler(arch::InterruptHandler handler, void* context) override;
    void notify(const Virtqueue& queue) override;

protected:
    u64 device_features() override;
    void set_driver_features(u64 features) override;
    u8 read_status() override;
    void write_status(u8 status) override;
    u16 queue_size_limit(u16 index) override;
    Result<> enable_queue(const Virtqueue& queue) override;
    u32 configuration_generation() override;
    u32 read_configuration(usize offset, usize width) override;

private:
    static constexpr usize k_max_queues = 8;
    static constexpr u16 k_no_vector = 0xffff;

    /// Maps the part of a BAR that the vendor capability at `capability` names.
    Result<Registers> map_capability(u8 capability) const;
    Result<u16> bind_vector(arch::InterruptHandler handler, void* context);

    pci::Function m_function;
    Registers m_common;
    Registers m_notify;
    Registers m_configuration;
    u32 m_notify_multiplier { 0 };
    pci::MessageTable m_messages;
    u16 m_next_vector { 0 };
    u16 m_configuration_vector { k_no_vector };
    std::array<u16, k_max_queues> m_vectors {};
    std::array<u32, k_max_queues> m_notify_offsets {};
};

} // namespace eremite::virtio
