// virtio-blk (virtio 1.2, 5.2) as a BlockDevice.
#include "base/component.h"
#include "base/log.h"
#include "device/block_device.h"
#include "drivers/virtio/request_queue.h"

#include <algorithm>

namespace eremite::virtio {

namespace {

constexpr u64 k_size_max = feature(1);
constexpr u64 k_segment_max = feature(2);
constexpr u64 k_read_only = feature(5);
constexpr u64 k_block_size = feature(6);
constexpr u64 k_flush = feature(9);
constexpr u64 k_topology = feature(10);
constexpr u64 k_discard = feature(13);

constexpr u32 k_request_in = 0;
constexpr u32 k_request_out = 1;
constexpr u32 k_request_flush = 4;
constexpr u32 k_request_discard = 11;

/// What the device reads and writes besides the data; on the heap, because stacks are not contiguous memory.
struct Envelope {
    u32 type { 0 };
    u32 reserved { 0 };
    u64 sector { 0 };
    u64 range_sector { 0 }; // discard
    u32 range_count { 0 };
    u32 range_flags { 0 };
    u8 status { 0xff };
};
constexpr usize k_head_size = 16;

class BlockDriver final : public BlockDevice {
public:
    BlockDriver(Transport& transport, std::string_view name)
        : BlockDevice(name)
        , m_transport(transport)
        , m_queue(transport)
    {
    }

    Result<> bring_up()
    {
        TRY(m_transport.negotiate(
            "virtio-blk", k_size_max | k_segment_max | k_read_only | k_block_size | k_flush | k_topology | k_discard));
        m_sector_count = m_transport.read_configuration64(0);
        m_read_only = m_transport.has(k_read_only);
        if (m_transport.has(k_block_size)) {
            u32 size = m_transport.read_configuration32(20);
            if (size >= k_sector_size && size % k_sector_size == 0)
                m_block_size = size;
        }
        if (m_transport.has(k_discard)) {
            // The device's own alignment, or else what it says of its blocks.
            m_discard_granularity = m_block_size / k_sector_size;
            if (m_transport.has(k_topology))
                m_discard_granularity <<= std::min<u32>(m_transport.read_configuration8(24), 12);
            m_discard_granularity = std::max<u64>(m_discard_granularity, m_transport.read_configuration32(44));
        }
        if (m_transport.has(k_size_max))
            m_max_transfer
                = std::max<usize>(align_down(m_transport.read_configuration32(8), k_sector_size), k_sector_size);
        if (m_transport.has(k_segment_max))
            m_max_parts = std::clamp<usize>(m_transport.read_configuration32(12), 1, k_max_parts);
        TRY(m_queue.create("virtio-blk", 0, 128, k_max_parts + 2));
        TRY(m_transport.set_configuration_handler(
            [](void* self) { static_cast<BlockDriver*>(self)->on_configuration_interrupt(); }, this));
        m_transport.start();
        return {};
    }

    Result<> read(u64 sector, std::span<u8> buffer) override
    {
        TRY(check(sector, buffer.size()));
        while (!buffer.empty()) {
            auto part = buffer.first(std::min(buffer.size(), m_max_transfer));
            const DmaSegment segment = dma_segment(part);
            TRY(request(k_request_in, sector, { &segment, 1 }));
            sector += part.size() / k_sector_size;
            buffer = buffer.subspan(part.size());
        }
        return {};
    }

    Result<> write(u64 sector, std::span<const u8> buffer) override
    {
        if (m_read_only)
            return Errno::EROFS;
        TRY(check(sector, buffer.size()));
        while (!buffer.empty()) {
            auto part = buffer.first(std::min(buffer.size(), m_max_transfer));
            const DmaSegment segment = dma_segment(part);
            TRY(request(k_request_out, sector, { &segment, 1 }));
            sector += part.size() / k_sector_size;
            buffer = buffer.subspan(part.size());
        }
        return {};
    }

    Result<> read_parts(u64 sector, std::span<const std::span<u8>> parts) override
    {
        return transfer(k_request_in, sector, parts);
    }

    Result<> write_parts(u64 sector, std::span<const std::span<u8>> parts) override
    {
        if (m_read_only)
            return Errno::EROFS;
        return transfer(k_request_out, sector, parts);
    }

    Result<> flush() override
    {
        // Without the feature the device has no cache that could lose anything.
        return m_transport.has(k_flush) ? request(k_request_flush, 0, {}) : Result<> {};
    }

    Result<> discard(u64 sector, u64 count) override
    {
        if (!m_transport.has(k_discard))
            return Errno::EOPNOTSUPP;
        if (m_read_only)
            return Errno::EROFS;
        u64 most = std::max(m_transport.read_configuration32(36), 1u);
        while (count != 0) {
            u64 part = std::min(count, most);
            TRY(request(k_request_discard, sector, {}, static_cast<u32>(part)));
            sector += part;
            count -= part;
        }
        return {};
    }

private:
    Result<> check(u64 sector, usize length) const
    {
        u64 count = length / k_sector_size;
        if (length % k_sector_size != 0 || count > m_sector_count || sector > m_sector_count - count)
            return Errno::EINVAL;
        return {};
    }

    /// The parts in as few requests as the device's limits allow. None is longer than m_max_transfer.
    Result<> transfer(u32 type, u64 sector, std::span<const std::span<u8>> parts)
    {
        usize length = 0;
        for (std::span<u8> part : parts)
            length += part.size();
        TRY(check(sector, length));
        while (!parts.empty()) {
            std::array<DmaSegment, k_max_parts> segments;
            usize count = 0;
            usize bytes = 0;
            while (count < std::min(parts.size(), m_max_parts) && bytes + parts[count].size() <= m_max_transfer) {
                segments[count] = dma_segment(parts[count]);
                bytes += parts[count++].size();
            }
            if (count == 0)
                return Errno::EINVAL;
            TRY(request(type, sector, std::span(segments).first(count)));
            sector += bytes / k_sector_size;
            parts = parts.subspan(count);
        }
        return {};
    }

    Result<> request(u32 type, u64 sector, std::span<const DmaSegment> data, u32 discard_count = 0)
    {
        auto envelope = TRY(make<Envelope>());
        envelope->type = type;
        envelope->sector = discard_count == 0 ? sector : 0;
        envelope->range_sector = sector;
        envelope->range_count = discard_count;
        std::span<u8> bytes(reinterpret_cast<u8*>(envelope.get()), sizeof(Envelope));
        std::array<DmaSegment, k_max_parts + 1> out;
        std::array<DmaSegment, k_max_parts + 1> in;
        usize out_count = 1;
        usize in_count = 0;
        out[0] = dma_segment(bytes.first(discard_count == 0 ? k_head_size : 2 * k_head_size));
        for (const DmaSegment& segment : data) {
            if (type == k_request_in)
                in[in_count++] = segment;
            else
                out[out_count++] = segment;
        }
        in[in_count++] = dma_segment(bytes.subspan(offsetof(Envelope, status), 1));
        TRY(m_queue.exchange(std::span(out).first(out_count), std::span(in).first(in_count)));
        u8 status = __atomic_load_n(&envelope->status, __ATOMIC_RELAXED);
        if (status == 2)
            return Errno::EOPNOTSUPP;
        return status == 0 ? Result<> {} : Errno::EIO;
    }

    void on_configuration_interrupt()
    {
        if (m_transport.needs_reset())
            m_queue.fail("it asks for a reset");
        else
            m_sector_count = m_transport.read_configuration64(0);
    }

    Transport& m_transport;
    RequestQueue m_queue;
    usize m_max_transfer { 1_MiB };
    usize m_max_parts { k_max_parts };
};

Result<> initialize_block_devices()
{
    static constexpr std::array<std::string_view, 16> k_names { "vda", "vdb", "vdc", "vdd", "vde", "vdf", "vdg", "vdh",
        "vdi", "vdj", "vdk", "vdl", "vdm", "vdn", "vdo", "vdp" };
    for (std::string_view name : k_names) {
        Transport* transport = take_device(DeviceType::Block);
        if (!transport)
            break;
        auto driver = TRY(make<BlockDriver>(*transport, name));
        if (auto result = driver->bring_up(); result.is_error()) {
            log_error("virtio-blk: the device at {} is not available: {}", transport->location(), result.error());
            continue;
        }
        register_block_device(*driver.leak());
    }
    return {};
}

} // namespace

} // namespace eremite::virtio

ER_COMPONENT(virtio_blk, eremite::Stage::Device, eremite::virtio::initialize_block_devices);
