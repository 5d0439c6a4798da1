// virtio over memory-mapped registers (virtio 1.2, 4.2).
#pragma once

#include "arch/devices.h"
#include "drivers/registers.h"
#include "drivers/virtio/transport.h"

namespace eremite::virtio {

class MmioTransport final : public Transport {
public:
    /// The device at `slot`. ENODEV: there is none; EPROTO: it is older than virtio 1 (logged).
    static Result<OwnPtr<Transport>> create(const arch::VirtioMmioSlot& slot);

    explicit MmioTransport(const arch::VirtioMmioSlot& slot, Registers registers);
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
    struct Handler {
        arch::InterruptHandler function { nullptr };
        void* context { nullptr };
    };
    static constexpr usize k_max_queues = 4;

    Result<> bind();
    void on_interrupt();

    Registers m_registers;
    arch::VirtioMmioSlot m_slot;
    bool m_bound { false };
    std::array<Handler, k_max_queues> m_queue_handlers {};
    Handler m_configuration_handler;
};

} // namespace eremite::virtio
