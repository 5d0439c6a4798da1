// virtio-fs (virtio 1.2, 5.11) as a FuseTransport: the queue for messages without reply, and one for requests.
#include "base/component.h"
#include "base/log.h"
#include "device/fuse_transport.h"
#include "drivers/virtio/request_queue.h"

#include <algorithm>

namespace eremite::virtio {

namespace {

constexpr usize k_tag_size = 36;
constexpr u16 k_priority_queue = 0;
constexpr u16 k_request_queue = 1;

class FileSystemDriver final : public FuseTransport {
public:
    explicit FileSystemDriver(Transport& transport)
        : m_transport(transport)
        , m_messages(transport)
        , m_requests(transport)
    {
    }

    Result<> bring_up()
    {
        // The daemon (libvhost-user) says how far it has looked and then looks again without a barrier between: with
        // EVENT_IDX it now and then misses what was offered meanwhile, and everybody waits for ever.
        TRY(m_transport.negotiate("virtio-fs", 0, k_feature_event_index));
        usize length = 0;
        for (; length < k_tag_size; ++length) {
            m_tag_text[length] = static_cast<char>(m_transport.read_configuration8(length));
            if (m_tag_text[length] == 0)
                break;
        }
        m_tag = { m_tag_text.data(), length };
        m_max_transfer = (k_max_parts - 4) * k_page_size;
        TRY(m_messages.create("virtio-fs", k_priority_queue, 128, 1));
        TRY(m_requests.create("virtio-fs", k_request_queue, 128, k_max_parts));
        // The queues are one device: when it is given up, both are.
        TRY(m_transport.set_configuration_handler(
            [](void* self) { static_cast<FileSystemDriver*>(self)->on_configuration_interrupt(); }, this));
        m_transport.start();
        return {};
    }

    Result<usize> exchange(std::span<const std::span<const u8>> requests, std::span<const std::span<u8>> replies,
        OwnPtr<RequestMemory>& memory, Nanoseconds deadline) override
    {
        if (requests.size() + replies.size() > k_max_parts)
            return Errno::EINVAL;
        std::array<DmaSegment, k_max_parts> readable;
        std::array<DmaSegment, k_max_parts> writable;
        std::ranges::transform(requests, readable.begin(), [](std::span<const u8> part) { return dma_segment(part); });
        std::ranges::transform(replies, writable.begin(), [](std::span<u8> part) { return dma_segment(part); });
        return TRY(m_requests.exchange(
            std::span(readable).first(requests.size()), std::span(writable).first(replies.size()), memory, deadline));
    }

    Result<> send(std::span<const u8> request, Nanoseconds deadline) override
    {
        void* copy = kmalloc(request.size());
        if (!copy)
            return Errno::ENOMEM;
        std::ranges::copy(request, static_cast<u8*>(copy));
        return m_messages.send(copy, request.size(), deadline);
    }

private:
    void on_configuration_interrupt()
    {
        if (!m_transport.needs_reset())
            return;
        m_requests.fail("its daemon is gone");
        m_messages.fail("its daemon is gone");
    }

    Transport& m_transport;
    RequestQueue m_messages;
    RequestQueue m_requests;
    std::array<char, k_tag_size> m_tag_text {};
};

Result<> initialize_file_systems()
{
    while (Transport* transport = take_device(DeviceType::FileSystem)) {
        auto driver = TRY(make<FileSystemDriver>(*transport));
        if (auto result = driver->bring_up(); result.is_error()) {
            log_error("virtio-fs: the device at {} is not available: {}", transport->location(), result.error());
            continue;
        }
        register_fuse_transport(*driver.leak());
    }
    return {};
}

} // namespace

} // namespace eremite::virtio

ER_COMPONENT(virtio_fs, eremite::Stage::Device, eremite::virtio::initialize_file_systems);
