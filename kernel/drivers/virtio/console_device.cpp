// virtio-console (virtio 1.2, 5.3), one port, in the place of the serial console.
#include "arch/platform.h"
#include "base/component.h"
#include "base/log.h"
#include "boot/options.h"
#include "device/console.h"
#include "drivers/virtio/transport.h"
#include "sync/spin_lock.h"

#include <algorithm>

namespace eremite::virtio {

namespace {

constexpr u64 k_size = feature(0);
constexpr u16 k_receive_queue = 0;
constexpr u16 k_transmit_queue = 1;
constexpr usize k_buffer_size = 1024;

class ConsoleDriver final : public ConsoleDevice {
public:
    explicit ConsoleDriver(Transport& transport)
        : m_transport(transport)
    {
    }
    ~ConsoleDriver() = default;

    Result<> bring_up()
    {
        TRY(m_transport.negotiate("virtio-console", k_size));
        auto input = TRY(m_transport.create_queue("virtio-console", k_receive_queue, 2));
        auto output = TRY(m_transport.create_queue("virtio-console", k_transmit_queue, 2));
        TRY(m_transport.set_queue_handler(
            k_receive_queue, [](void* self) { static_cast<ConsoleDriver*>(self)->on_input(); }, this));
        Locked lock(m_lock);
        m_input = std::move(input);
        m_output = std::move(output);
        m_output->disable_interrupts();
        m_transport.start();
        offer_input_buffer();
        return {};
    }

    void write(std::string_view text) override
    {
        Locked lock(m_lock);
        while (!text.empty()) {
            if (m_output->is_broken())
                return arch::early_console_write(text);
            std::string_view part = text.substr(0, k_buffer_size);
            text.remove_prefix(part.size());
            std::ranges::copy(part, m_output_buffer.begin());
            const std::array segments { dma_segment(std::span(m_output_buffer).first(part.size())) };
            if (!m_output->push(segments, {}, this))
                continue;
            m_transport.publish_and_notify(*m_output);
            // One buffer, so that this works in a panic too. Whoever reads on the host may be slow.
            Virtqueue::Completion completion;
            while (!m_output->pop(completion) && !m_output->is_broken())
                arch::relax();
        }
    }

    usize read(std::span<char> buffer) override
    {
        Locked lock(m_lock);
        take_input();
        usize count = std::min(buffer.size(), m_input_length - m_input_position);
        std::ranges::copy(std::span(m_input_buffer).subspan(m_input_position, count), buffer.begin());
        m_input_position += count;
        if (count != 0 && m_input_position == m_input_length)
            offer_input_buffer();
        return count;
    }

    Result<> enable_input(void (*handler)()) override
    {
        m_handler.store(handler, std::memory_order_release);
        Locked lock(m_lock);
        m_input->enable_interrupts();
        return {};
    }

    bool size(u16& columns, u16& rows) override
    {
        if (!m_transport.has(k_size))
            return false;
        columns = m_transport.read_configuration16(0);
        rows = m_transport.read_configuration16(2);
        return columns != 0 && rows != 0;
    }

private:
    void take_input() REQUIRES(m_lock)
    {
        Virtqueue::Completion completion;
        if (m_input_position == m_input_length && m_input->pop(completion)) {
            m_input_position = 0;
            m_input_length = completion.length;
            if (completion.length == 0)
                offer_input_buffer();
        }
    }

    void offer_input_buffer() REQUIRES(m_lock)
    {
        m_input_position = 0;
        m_input_length = 0;
        const std::array segments { dma_segment(m_input_buffer) };
        if (!m_input->push({}, segments, this))
            return;
        m_input->enable_interrupts();
        m_transport.publish_and_notify(*m_input);
    }

    void on_input()
    {
        if (auto* handler = m_handler.load(std::memory_order_acquire))
            handler();
    }

    Transport& m_transport;
    InterruptSpinLock m_lock;
    OwnPtr<Virtqueue> m_input GUARDED_BY(m_lock);
    OwnPtr<Virtqueue> m_output GUARDED_BY(m_lock);
    usize m_input_position GUARDED_BY(m_lock) { 0 };
    usize m_input_length GUARDED_BY(m_lock) { 0 };
    std::array<u8, k_buffer_size> m_input_buffer GUARDED_BY(m_lock) {};
    std::array<u8, k_buffer_size> m_output_buffer GUARDED_BY(m_lock) {};
    std::atomic<void (*)()> m_handler { nullptr };
};

Result<> initialize_console()
{
    g_has_virtio_console = true;
    Transport* transport = take_device(DeviceType::Console);
    if (!transport) {
        if (boot_option("virtio-console"))
            log_warning("virtio-console: this machine has none");
        return {};
    }
    auto driver = TRY(make<ConsoleDriver>(*transport));
    TRY(driver->bring_up());
    set_console(*driver.leak());
    return {};
}

} // namespace

} // namespace eremite::virtio

ER_COMPONENT(virtio_console, eremite::Stage::Device, eremite::virtio::initialize_console);
