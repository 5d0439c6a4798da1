// gtest first: the kernel takes the macros of errno.h away.
#include <gtest/gtest.h>

#include "device/packet.h"

#include <algorithm>
#include <numeric>

using namespace eremite;

namespace {

Packet numbered(u32 headroom, u32 length)
{
    Packet packet = Packet::create(headroom, length).release_value();
    std::iota(packet.head().begin(), packet.head().end(), u8 { 0 });
    return packet;
}

} // namespace

TEST(Packet, GivesEverythingBack)
{
    auto before = packet_statistics();
    {
        Packet packet = numbered(16, 100);
        Packet shared = packet.share(10, 50).release_value();
        Packet copied = shared.copy().release_value();
        EXPECT_EQ(copied.head()[0], 10);
        EXPECT_EQ(packet_statistics().packets, before.packets + 3);
    }
    EXPECT_EQ(packet_statistics().packets, before.packets);
    EXPECT_EQ(packet_statistics().buffers, before.buffers);
}

TEST(Packet, PrependsInTheHeadroomOnlyWhileNobodyElseSeesIt)
{
    Packet packet = numbered(16, 10);
    packet.offload().checksum_start = 3;
    packet.prepend(4)[0] = 99;
    EXPECT_EQ(packet.fragment_count(), 1u);
    EXPECT_EQ(packet.offload().checksum_start, 7);
    Packet shared = packet.share(0, 14).release_value();
    shared.prepend(4)[0] = 98;
    EXPECT_EQ(shared.fragment_count(), 2u);
    EXPECT_EQ(packet.head()[0], 99);
    EXPECT_EQ(shared.length(), 18u);
}

TEST(Packet, PullsAndTruncatesAcrossFragments)
{
    Packet packet = numbered(0, 10);
    auto buffer = Buffer::create(Buffer::Size::Page).release_value();
    std::ranges::fill(buffer->bytes(), u8 { 7 });
    ASSERT_TRUE(packet.append(buffer, 100, 20));
    packet.pull(15);
    EXPECT_EQ(packet.length(), 15u);
    EXPECT_EQ(packet.head()[0], 7);
    packet.truncate(1);
    EXPECT_EQ(packet.length(), 1u);
    packet.pull(1);
    EXPECT_EQ(packet.length(), 0u);
}

TEST(Packet, MakesItsBeginningContiguous)
{
    Packet packet = numbered(0, 3);
    for (u8 i = 0; i < 5; ++i) {
        auto buffer = Buffer::create(Buffer::Size::Small).release_value();
        std::ranges::fill(buffer->bytes(), i);
        ASSERT_TRUE(packet.append(buffer, 0, 4));
    }
    EXPECT_FALSE(packet.make_contiguous(24));
    ASSERT_TRUE(packet.make_contiguous(13));
    EXPECT_EQ(packet.length(), 23u);
    std::array<u8, 23> bytes;
    ASSERT_TRUE(packet.copy_out(0, bytes));
    EXPECT_EQ(bytes, (std::array<u8, 23> { 0, 1, 2, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4 }));
    EXPECT_GE(packet.head().size(), 13u);
}

TEST(PacketList, KeepsOrder)
{
    PacketList list;
    for (u32 i = 1; i <= 3; ++i)
        list.push_back(numbered(0, i));
    PacketList other;
    other.push_back(numbered(0, 4));
    list.append(std::move(other));
    list.push_front(numbered(0, 9));
    EXPECT_EQ(list.count(), 5u);
    EXPECT_EQ(list.pop_front().length(), 9u);
    EXPECT_EQ(list.pop_front().length(), 1u);
    list.clear();
    EXPECT_FALSE(list.pop_front());
}
