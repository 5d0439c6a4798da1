// A device that writes whatever it likes into its part of the rings: no token comes back that the device didn't have,
// and none comes back twice.
#include "drivers/virtio/virtqueue.h"
#include "arch/host/machine.h"
#include "mm/frames.h"

#include <array>
#include <cstring>
#include <set>

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, size_t size)
{
    using namespace eremite;
    host_machine();
    if (size < 1)
        return 0;
    const u16 queue_size = 8;
    const bool event_index = (data[0] & 1) != 0;
    auto queue = virtio::Virtqueue::create(
        { .owner = "fuzz", .size = queue_size, .event_index = event_index, .indirect_tables = 2, .indirect_length = 8 })
                     .release_value();
    auto* device_area = static_cast<unsigned char*>(direct_map(queue->device_area()));
    auto* descriptors = static_cast<unsigned char*>(direct_map(queue->descriptor_area()));
    constexpr usize device_size = 4 + 8 * queue_size + 2;
    std::array<int, 64> tokens {};
    std::set<void*> with_device;
    usize next_token = 0;
    std::array<DmaSegment, 8> segments;
    segments.fill({ PhysicalAddress(0x1000), 64 });
    for (size_t i = 1; i + 3 <= size; i += 3) {
        const unsigned char operation = data[i] & 7;
        if (operation <= 1) {
            int* token = &tokens[next_token++ % tokens.size()];
            const usize readable = data[i + 1] % 5;
            const usize writable = data[i + 2] % 4;
            if (!with_device.contains(token)
                && queue->push(std::span(segments).first(readable), std::span(segments).first(writable), token))
                with_device.insert(token);
        } else if (operation == 2) {
            queue->publish();
        } else if (operation == 3) {
            virtio::Virtqueue::Completion completion;
            while (queue->pop(completion)) {
                if (with_device.erase(completion.token) != 1 || completion.length > 8 * 64)
                    __builtin_trap();
            }
        } else if (operation == 4) {
            queue->enable_interrupts_after(data[i + 1]);
        } else if (operation == 5) {
            descriptors[data[i + 1] % (16 * queue_size)] = data[i + 2];
        } else {
            device_area[data[i + 1] % device_size] = data[i + 2];
        }
        if (queue->outstanding() != with_device.size())
            __builtin_trap();
    }
    while (void* token = queue->reclaim()) {
        if (with_device.erase(token) != 1)
            __builtin_trap();
    }
    return with_device.empty() ? 0 : (__builtin_trap(), 0);
}
