// virtio-rng (virtio 1.2, 5.4): a seed at boot, and another every few minutes.
#include "base/component.h"
#include "base/log.h"
#include "drivers/virtio/transport.h"
#include "random/random.h"
#include "sched/clock.h"
#include "sched/timer.h"
#include "sync/spin_lock.h"

#include <algorithm>

namespace eremite::virtio {

namespace {

constexpr usize k_seed_size = 64;
constexpr Nanoseconds k_interval = Nanoseconds::from_seconds(300);

class EntropyDriver {
public:
    explicit EntropyDriver(Transport& transport)
        : m_transport(transport)
        , m_timer([](Timer& timer) { static_cast<EntropyDriver*>(timer.context())->ask(); }, this)
    {
    }

    Result<> bring_up()
    {
        TRY(m_transport.negotiate("virtio-rng", 0));
        auto queue = TRY(m_transport.create_queue("virtio-rng", 0, 2));
        TRY(m_transport.set_queue_handler(
            0, [](void* self) { static_cast<EntropyDriver*>(self)->on_interrupt(); }, this));
        {
            Locked lock(m_lock);
            m_queue = std::move(queue);
        }
        m_transport.start();
        ask();
        return {};
    }

private:
    void ask()
    {
        Locked lock(m_lock);
        const std::array segments { dma_segment(m_seed) };
        if (!m_queue->push({}, segments, this))
            return;
        m_queue->enable_interrupts();
        m_transport.publish_and_notify(*m_queue);
    }

    void on_interrupt()
    {
        {
            Locked lock(m_lock);
            Virtqueue::Completion completion;
            if (!m_queue || !m_queue->pop(completion))
                return;
            random_add(std::span(m_seed).first(completion.length), completion.length * 8);
            m_seed.fill(0);
        }
        m_timer.arm(monotonic_now() + k_interval);
    }

    Transport& m_transport;
    InterruptSpinLock m_lock;
    OwnPtr<Virtqueue> m_queue GUARDED_BY(m_lock);
    std::array<u8, k_seed_size> m_seed GUARDED_BY(m_lock) {};
    Timer m_timer;
};

Result<> initialize_entropy()
{
    while (Transport* transport = take_device(DeviceType::Entropy)) {
        auto driver = TRY(make<EntropyDriver>(*transport));
        TRY(driver->bring_up());
        driver.leak();
    }
    return {};
}

} // namespace

} // namespace eremite::virtio

ER_COMPONENT(virtio_rng, eremite::Stage::Device, eremite::virtio::initialize_entropy);
