// A virtio device in memory, for drivers under test: it offers features, has a configuration and queues (ModelDevice),
// raises interrupts when told to, and may stop answering.
#pragma once

#include "arch/host/machine.h"
#include "drivers/model_device.h"
#include "drivers/virtio/transport.h"

#include <array>
#include <map>
#include <memory>

namespace eremite::virtio {

class ModelTransport final : public Transport {
public:
    ModelTransport(DeviceType type, u64 offered)
        : offered(offered | k_feature_version_1)
    {
        host_machine();
        m_type = type;
        set_location("model");
    }

    Result<> set_queue_handler(u16 index, arch::InterruptHandler handler, void* context) override
    {
        m_handlers[index] = { handler, context };
        return {};
    }
    Result<> set_configuration_handler(arch::InterruptHandler handler, void* context) override
    {
        m_configuration_handler = { handler, context };
        return {};
    }
    void notify(const Virtqueue&) override { ++notifications; }

    ModelDevice& queue(u16 index) { return *m_queues.at(index); }
    bool has_queue(u16 index) const { return m_queues.contains(index); }
    void interrupt(u16 index)
    {
        if (auto found = m_handlers.find(index); found != m_handlers.end())
            found->second.first(found->second.second);
    }
    void change_configuration()
    {
        ++generation;
        if (m_configuration_handler.first)
            m_configuration_handler.first(m_configuration_handler.second);
    }
    void ask_for_reset()
    {
        status |= k_status_needs_reset;
        change_configuration();
    }

    u64 offered;
    u64 agreed { 0 };
    u8 status { 0 };
    u32 generation { 0 };
    u32 notifications { 0 };
    u32 resets { 0 };
    bool answers_reset { true };
    u16 queue_size { 16 };
    u16 queue_count { 3 };
    std::array<u8, 64> configuration {};

protected:
    u64 device_features() override { return offered; }
    void set_driver_features(u64 features) override { agreed = features; }
    u8 read_status() override { return status; }
    void write_status(u8 value) override
    {
        if (value != 0) {
            status = value;
            return;
        }
        if (!answers_reset)
            return;
        ++resets;
        status = 0;
        m_queues.clear();
    }
    u16 queue_size_limit(u16 index) override { return index < queue_count ? queue_size : u16 { 0 }; }
    Result<> enable_queue(const Virtqueue& queue) override
    {
        m_queues[queue.index()] = std::make_unique<ModelDevice>(queue, (agreed & k_feature_event_index) != 0);
        return {};
    }
    u32 configuration_generation() override { return generation; }
    u32 read_configuration(usize offset, usize width) override
    {
        u32 value = 0;
        if (offset + width <= configuration.size())
            std::memcpy(&value, configuration.data() + offset, width);
        return value;
    }

private:
    using Handler = std::pair<arch::InterruptHandler, void*>;
    std::map<u16, std::unique_ptr<ModelDevice>> m_queues;
    std::map<u16, Handler> m_handlers;
    Handler m_configuration_handler {};
};

} // namespace eremite::virtio
