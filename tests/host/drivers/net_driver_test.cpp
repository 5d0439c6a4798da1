// virtio-net against a model of the device: offloads both ways, merged buffers, lies, and the reset that it asks for.
#include <gtest/gtest.h>

#include "drivers/model_transport.h"
#include "drivers/virtio/net.h"

#include <sanitizer/lsan_interface.h>

namespace eremite::virtio {

namespace {

constexpr u64 k_all_offloads = feature(0) | feature(1) | feature(5) | feature(7) | feature(8) | feature(11)
    | feature(12) | feature(15) | feature(16);

/// struct virtio_net_hdr (virtio 1.2, 5.1.6), as the device sees it.
struct Header {
    u8 flags { 0 };
    u8 segmentation { 0 };
    u16 header_length { 0 };
    u16 segment_size { 0 };
    u16 checksum_start { 0 };
    u16 checksum_offset { 0 };
    u16 buffers { 1 };
};

struct Client final : NetDeviceClient {
    void device_ready(NetDevice&) override { ++calls; }
    int calls { 0 };
};

struct Fixture {
    explicit Fixture(u64 features = k_all_offloads)
        : transport(DeviceType::Net, features)
    {
        const std::array<u8, 8> beginning { 2, 0, 0, 0, 0, 7, 1, 0 }; // MAC, link up
        std::ranges::copy(beginning, transport.configuration.begin());
        driver = NetDriver::create(transport, "eth0").release_value();
        driver->set_client(&client);
    }

    /// The device receives: `parts` go into as many buffers, behind the header in the first.
    void arrive(Header header, const std::vector<std::vector<u8>>& parts)
    {
        auto& queue = transport.queue(0);
        bool first = true;
        for (auto& part : parts) {
            auto chain = queue.take();
            ASSERT_TRUE(chain);
            auto* memory = static_cast<u8*>(direct_map(PhysicalAddress(chain->segments[0].address)));
            usize at = 0;
            if (first) {
                std::memcpy(memory, &header, sizeof(header));
                at = sizeof(header);
            }
            std::ranges::copy(part, memory + at);
            queue.give_back(chain->head, static_cast<u32>(at + part.size()));
            first = false;
        }
    }
    std::vector<std::vector<u8>> received()
    {
        PacketList list;
        driver->receive(list, 64);
        std::vector<std::vector<u8>> frames;
        while (Packet packet = list.pop_front()) {
            std::vector<u8> bytes(packet.length());
            packet.copy_out(0, bytes);
            frames.push_back(std::move(bytes));
            last_offload = packet.offload();
        }
        return frames;
    }
    /// What the device finds in its transmit queue next, header first.
    std::vector<u8> transmitted()
    {
        auto chain = transport.queue(1).take();
        std::vector<u8> bytes;
        if (!chain)
            return bytes;
        for (auto& segment : chain->segments) {
            auto* memory = static_cast<u8*>(direct_map(PhysicalAddress(segment.address)));
            bytes.insert(bytes.end(), memory, memory + segment.length);
        }
        transport.queue(1).give_back(chain->head, 0);
        return bytes;
    }
    Packet packet_of(usize length, u8 fill)
    {
        Packet packet = Packet::create(k_packet_headroom, static_cast<u32>(length)).release_value();
        std::ranges::fill(packet.head(), fill);
        return packet;
    }
    void send(Packet packet)
    {
        ASSERT_TRUE(driver->transmit(packet));
        driver->flush();
    }

    ModelTransport transport;
    OwnPtr<NetDriver> driver;
    Client client;
    PacketOffload last_offload;
};

std::vector<u8> bytes(usize length, u8 fill)
{
    return std::vector<u8>(length, fill);
}

} // namespace

TEST(NetDriver, ReadsTheConfiguration)
{
    Fixture t(k_all_offloads | feature(3));
    EXPECT_EQ(t.driver->mac(), (MacBytes { 2, 0, 0, 0, 0, 7 }));
    EXPECT_TRUE(t.driver->is_link_up());
    EXPECT_TRUE(t.driver->features().checksum);
    EXPECT_TRUE(t.driver->features().tso4);
    EXPECT_TRUE(t.driver->features().tso6);
    t.transport.configuration[6] = 0;
    t.transport.change_configuration();
    EXPECT_FALSE(t.driver->is_link_up());
    EXPECT_GT(t.client.calls, 0);
}

TEST(NetDriver, DoesWithoutWhatTheDeviceLacks)
{
    Fixture t(feature(7) | feature(8)); // segmentation to us, but no buffers that can be merged
    EXPECT_EQ(t.transport.agreed & (feature(7) | feature(8)), 0u);
    EXPECT_FALSE(t.driver->features().checksum);
    t.arrive({}, { bytes(1000, 5) });
    EXPECT_EQ(t.received(), (std::vector<std::vector<u8>> { bytes(1000, 5) }));
}

TEST(NetDriver, DescribesWhatTheDeviceShallDo)
{
    Fixture t;
    Packet packet = t.packet_of(3000, 9);
    packet.offload() = { .needs_checksum = true,
        .segmentation = Segmentation::Tcp4,
        .checksum_start = 34,
        .checksum_offset = 16,
        .segment_size = 1448,
        .header_length = 66 };
    t.send(std::move(packet));
    auto sent = t.transmitted();
    ASSERT_EQ(sent.size(), sizeof(Header) + 3000);
    Header header;
    std::memcpy(&header, sent.data(), sizeof(header));
    EXPECT_EQ(header.flags, 1);
    EXPECT_EQ(header.segmentation, 1);
    EXPECT_EQ(header.checksum_start, 34);
    EXPECT_EQ(header.checksum_offset, 16);
    EXPECT_EQ(header.segment_size, 1448);
    EXPECT_EQ(header.header_length, 66);
    EXPECT_TRUE(t.driver->is_transmit_idle());
}

TEST(NetDriver, JoinsMergedBuffers)
{
    Fixture t;
    t.arrive({ .flags = 1, .segmentation = 1, .header_length = 66, .segment_size = 1448, .buffers = 3 },
        { bytes(4000, 1), bytes(4064, 2), bytes(500, 3) });
    t.arrive({ .flags = 2 }, { bytes(60, 4) });
    auto frames = t.received();
    ASSERT_EQ(frames.size(), 2u);
    EXPECT_EQ(frames[0].size(), 8564u);
    EXPECT_EQ(frames[0][3999], 1);
    EXPECT_EQ(frames[0][4000], 2);
    EXPECT_EQ(frames[0][8563], 3);
    EXPECT_EQ(frames[1], bytes(60, 4));
    EXPECT_TRUE(t.last_offload.checksum_verified);
    EXPECT_EQ(t.driver->statistics().received_packets.load(), 2u);
}

TEST(NetDriver, StopsListeningToADeviceThatLies)
{
    struct Lie {
        Header header;
        std::vector<std::vector<u8>> parts;
    };
    for (auto& lie : { Lie { { .buffers = 0 }, { bytes(600, 1) } }, Lie { { .buffers = 200 }, { bytes(600, 1) } },
             Lie { { .buffers = 3 }, { bytes(600, 1), bytes(600, 2) } } }) {
        Fixture t;
        t.arrive(lie.header, lie.parts);
        EXPECT_TRUE(t.received().empty());
        EXPECT_TRUE(t.received().empty()) << "and for good";
        EXPECT_EQ(t.driver->statistics().received_packets.load(), 0u);
    }
    Fixture t;
    auto chain = t.transport.queue(0).take();
    t.transport.queue(0).give_back(chain->head, 5); // not even a header
    EXPECT_TRUE(t.received().empty());
}

TEST(NetDriver, BeginsAnewWhenTheDeviceAsksForIt)
{
    const auto before = packet_statistics();
    {
        // Rings outlive a reset, as an interrupt handler may be looking at them: a small leak, on purpose.
        __lsan::ScopedDisabler rings_leak;
        Fixture t;
        t.send(t.packet_of(100, 1)); // never transmitted
        const u32 resets = t.transport.resets;
        t.transport.ask_for_reset();
        EXPECT_GT(t.client.calls, 0);
        EXPECT_TRUE(t.received().empty());
        EXPECT_GT(t.transport.resets, resets);
        EXPECT_NE(t.transport.status & k_status_driver_ok, 0);
        EXPECT_TRUE(t.driver->is_transmit_idle()) << "what the old queue held is given up";
        t.arrive({}, { bytes(700, 6) });
        EXPECT_EQ(t.received(), (std::vector<std::vector<u8>> { bytes(700, 6) }));
        t.send(t.packet_of(100, 2));
        EXPECT_EQ(t.transmitted().size(), sizeof(Header) + 100);
    }
    EXPECT_EQ(packet_statistics().packets, before.packets);
    EXPECT_EQ(packet_statistics().buffers, before.buffers);
}

TEST(NetDriver, NeverTakesBackWhatADeviceMayStillWrite)
{
    Fixture t;
    t.transport.answers_reset = false;
    t.transport.ask_for_reset();
    EXPECT_TRUE(t.received().empty());
    Packet packet = t.packet_of(100, 1);
    EXPECT_TRUE(t.driver->transmit(packet)) << "taken, and dropped";
    EXPECT_EQ(t.driver->statistics().transmit_dropped.load(), 1u);
}

} // namespace eremite::virtio
