// gtest first: the kernel takes the macros of errno.h away.
#include <gtest/gtest.h>

#include "net/checksum.h"
#include "net/siphash.h"
#include "net/timer_wheel.h"

#include <map>
#include <random>
#include <vector>

using namespace eremite;
using namespace eremite::net;

namespace {

std::string text_of(IpAddress address)
{
    return std::string(std::string_view(AddressText(address)));
}

struct TestTimer final : WheelTimer {
    std::vector<Nanoseconds> fired;
    bool alive { true };
    bool retain() override { return alive; }
    void expire(Nanoseconds now) override { fired.push_back(now); }
};

} // namespace

TEST(IpAddress, ParsesAndPrints)
{
    for (const char* text :
        { "10.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "2001:db8::5:0:0:1", "1:2:3:4:5:6:7:8" }) {
        auto address = IpAddress::parse(text);
        ASSERT_TRUE(address) << text;
        EXPECT_EQ(text_of(*address), text);
    }
    EXPECT_EQ(*IpAddress::parse("::ffff:10.0.0.1"), IpAddress::v4(10, 0, 0, 1));
    for (const char* text : { "", "10.0.0", "10.0.0.256", "10.0.0.1.2", ":", ":::", "1:2", "1::2::3",
             "12345::", "1:2:3:4:5:6:7:8:9", "g::" })
        EXPECT_FALSE(IpAddress::parse(text)) << text;
}

TEST(IpAddress, MatchesPrefixes)
{
    EXPECT_TRUE(IpAddress::v4(10, 0, 0, 9).matches(IpAddress::v4(10, 0, 0, 0), 24));
    EXPECT_FALSE(IpAddress::v4(10, 0, 1, 9).matches(IpAddress::v4(10, 0, 0, 0), 24));
    EXPECT_TRUE(IpAddress::v4(1, 2, 3, 4).matches(IpAddress::v4(0), 0));
    EXPECT_FALSE(IpAddress::parse("::1")->matches(IpAddress::v4(0), 0));
    EXPECT_TRUE(IpAddress::parse("2001:db8::1")->matches(*IpAddress::parse("2001:db8::2"), 64));
    EXPECT_FALSE(IpAddress::parse("2001:db8::1")->matches(*IpAddress::parse("2001:db8::2"), 128));
}

TEST(Checksum, SumsAcrossOddFragments)
{
    std::vector<u8> bytes(301);
    std::mt19937 random(1);
    for (u8& byte : bytes)
        byte = static_cast<u8>(random());
    Checksum whole;
    whole.add(bytes);
    Packet packet = Packet::create().release_value();
    for (usize at = 0; at < bytes.size();) {
        usize step = std::min<usize>(1 + random() % 40, bytes.size() - at);
        auto buffer = Buffer::create(Buffer::Size::Small).release_value();
        std::ranges::copy(std::span(bytes).subspan(at, step), buffer->bytes().begin() + 5);
        ASSERT_TRUE(packet.append(buffer, 5, static_cast<u32>(step)));
        at += step;
    }
    Checksum pieces;
    pieces.add(packet, 0, 301);
    EXPECT_EQ(whole.partial(), pieces.partial());
}

TEST(Checksum, KnowsTheExampleOfTheRfc)
{
    // RFC 1071, section 3: 0001 f203 f4f5 f6f7 sums to ddf2.
    std::array<u8, 8> bytes { 0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7 };
    EXPECT_EQ(u16(checksum_of(bytes)), u16(~0xddf2));
}

TEST(SipHash, AgreesWithThePaper)
{
    // SipHash-2-4 of the bytes 00..07 under the key 00..0f.
    HashKey key { 0x0706050403020100, 0x0f0e0d0c0b0a0908 };
    std::array<u64, 1> words { 0x0706050403020100 };
    EXPECT_EQ(siphash(key, words), 0x93f5f5799a932462u);
    EXPECT_EQ(siphash(key, {}), 0x726fdb47dd0e0e31u);
}

TEST(TimerWheel, FiresInOrderAndNeverEarly)
{
    TimerWheel wheel;
    wheel.start(Nanoseconds(12345));
    std::mt19937_64 random(2);
    std::vector<TestTimer> timers(200);
    for (auto& timer : timers)
        wheel.arm(timer, Nanoseconds(static_cast<i64>(random() % (u64 { 1 } << (20 + random() % 26)))));
    wheel.cancel(timers[7]);
    timers[8].alive = false;
    Nanoseconds now(12345);
    while (wheel.next_deadline() != Nanoseconds::max()) {
        now = std::max(now, wheel.next_deadline());
        wheel.run(now);
    }
    for (usize i = 0; i < timers.size(); ++i) {
        if (i == 7 || i == 8) {
            EXPECT_TRUE(timers[i].fired.empty());
            continue;
        }
        ASSERT_EQ(timers[i].fired.size(), 1u) << i;
        EXPECT_GE(timers[i].fired[0], timers[i].deadline());
        EXPECT_LE(timers[i].fired[0], std::max(Nanoseconds(12345), timers[i].deadline()) + Nanoseconds(3 << 20));
    }
}

TEST(TimerWheel, MovesATimerAndSkipsIdleTime)
{
    TimerWheel wheel;
    wheel.start({});
    TestTimer timer;
    EXPECT_TRUE(wheel.arm(timer, Nanoseconds::from_seconds(1)));
    wheel.run(Nanoseconds::from_milliseconds(900));
    wheel.arm(timer, Nanoseconds::from_seconds(3));
    wheel.run(Nanoseconds::from_milliseconds(2900));
    EXPECT_TRUE(timer.fired.empty());
    wheel.run(Nanoseconds::from_milliseconds(3010));
    EXPECT_EQ(timer.fired.size(), 1u);
    wheel.run(Nanoseconds::from_seconds(100'000));
    wheel.arm(timer, Nanoseconds::from_seconds(1'000'000));
    wheel.run(Nanoseconds::from_seconds(999'999));
    EXPECT_EQ(timer.fired.size(), 1u);
    wheel.run(Nanoseconds::from_seconds(1'000'001));
    EXPECT_EQ(timer.fired.size(), 2u);
}
