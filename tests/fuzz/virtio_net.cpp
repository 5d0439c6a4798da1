// virtio-net and a device that says whatever it likes: of buffers it gives back, of their lengths, of headers, of its
// configuration and state. The driver stops listening or goes on; memory is neither lost nor given twice (the
// sanitizers look).
#include "drivers/model_transport.h"
#include "drivers/virtio/net.h"

#include <algorithm>
#include <deque>
#include <sanitizer/lsan_interface.h>

namespace eremite::virtio {

namespace {

struct Client final : NetDeviceClient {
    void device_ready(NetDevice&) override { }
};

void run(std::span<const u8> input)
{
    size_t at = 0;
    auto next = [&]() -> u8 { return at < input.size() ? input[at++] : 0; };
    u64 features = 0;
    for (int i = 0; i < 8; ++i)
        features = features << 8 | next();
    ModelTransport transport(DeviceType::Net, features);
    auto made = NetDriver::create(transport, "eth0");
    if (made.is_error())
        return;
    auto driver = made.release_value();
    Client client;
    driver->set_client(&client);
    std::array<std::deque<ModelDevice::Chain>, 2> taken;
    auto queue_of = [&](u16 index) { return transport.has_queue(index) ? &transport.queue(index) : nullptr; };
    while (at < input.size()) {
        const u8 step = next();
        const u16 index = step >> 4 & 1;
        switch (step & 15) {
        case 0:
        case 1: // the device takes what it was given
            if (auto* queue = queue_of(index)) {
                if (auto chain = queue->take())
                    taken[index].push_back(std::move(*chain));
            }
            break;
        case 2:
        case 3: // and gives it back, honestly
            if (auto* queue = queue_of(index); queue && !taken[index].empty()) {
                auto chain = taken[index].front();
                taken[index].pop_front();
                u32 length = 0;
                for (auto& segment : chain.segments)
                    length += segment.writable ? segment.length : 0;
                if (length > 0) {
                    auto* memory = static_cast<u8*>(direct_map(PhysicalAddress(chain.segments[0].address)));
                    for (usize i = 0; i < 12; ++i)
                        memory[i] = next();
                    length = std::min<u32>(length, 12u + (u32 { next() } << 4));
                }
                queue->give_back(chain.head, length);
            }
            break;
        case 4: // or not
            if (auto* queue = queue_of(index))
                queue->give_back(next(), u32 { next() } << (next() % 32));
            break;
        case 5:
            if (auto* queue = queue_of(index))
                queue->set_used_index(static_cast<u16>(next() << 8 | next()));
            break;
        case 6:
            transport.configuration[next() % transport.configuration.size()] = next();
            transport.change_configuration();
            break;
        case 7:
            transport.ask_for_reset();
            for (auto& queue : taken)
                queue.clear();
            break;
        case 8:
            transport.interrupt(index);
            break;
        case 9: {
            PacketList list;
            driver->receive(list, next());
            break;
        }
        case 10: {
            auto created = Packet::create(k_packet_headroom, 1 + next() * 8u);
            if (created.has_value()) {
                Packet packet = created.release_value();
                std::ranges::fill(packet.head(), u8 { 1 });
                driver->transmit(packet);
            }
            break;
        }
        case 11:
            driver->flush();
            break;
        case 12:
            (void)driver->is_transmit_idle();
            break;
        case 13:
            driver->notify_when_transmitted();
            break;
        case 14:
            (void)driver->enable_receive_interrupts();
            break;
        default:
            driver->disable_receive_interrupts();
            break;
        }
    }
    transport.reset(); // or its queues might be looked at after they are gone
}

} // namespace

} // namespace eremite::virtio

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, size_t size)
{
    // Rings outlive a reset, as an interrupt handler may be looking at them. Packets and buffers are counted instead.
    __lsan::ScopedDisabler rings_leak;
    const auto before = eremite::packet_statistics();
    eremite::virtio::run({ data, size });
    const auto after = eremite::packet_statistics();
    if (before.packets != after.packets || before.buffers != after.buffers)
        __builtin_trap();
    return 0;
}
