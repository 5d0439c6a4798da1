#include "device/block_device.h"

#include "base/component.h"

namespace eremite {

namespace {

constinit BlockDevice* s_first = nullptr;

} // namespace

Result<> BlockDevice::read_parts(u64 sector, std::span<const std::span<u8>> parts)
{
    for (std::span<u8> part : parts) {
        TRY(read(sector, part));
        sector += part.size() / k_sector_size;
    }
    return {};
}

Result<> BlockDevice::write_parts(u64 sector, std::span<const std::span<u8>> parts)
{
    for (std::span<u8> part : parts) {
        TRY(write(sector, part));
        sector += part.size() / k_sector_size;
    }
    return {};
}

void register_block_device(BlockDevice& device)
{
    BlockDevice** link = &s_first;
    while (*link)
        link = &(*link)->m_next;
    *link = &device;
}

BlockDevice* find_block_device(std::string_view name)
{
    ER_NEEDS(virtio_blk);
    BlockDevice* device = s_first;
    while (device && device->name() != name)
        device = device->m_next;
    return device;
}

void for_each_block_device(void (*visit)(BlockDevice&, void*), void* context)
{
    ER_NEEDS(virtio_blk);
    for (BlockDevice* device = s_first; device; device = device->m_next)
        visit(*device, context);
}

} // namespace eremite
