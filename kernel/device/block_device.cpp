#include "device/block_device.h"

#include "base/component.h"

namespace eremite {

namespace {

constinit BlockDevice* s_first = nullptr;

} // namespace

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
