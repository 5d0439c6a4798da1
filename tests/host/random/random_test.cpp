#include <gtest/gtest.h>

#include "random/random.h"

#include <algorithm>
#include <array>
#include <bit>
#include <set>

using namespace eremite;

TEST(ChaCha20, GivesTheBlockOfRfc8439)
{
    // RFC 8439, 2.3.2.
    ChaChaKey key;
    for (u32 i = 0; i < 8; ++i)
        key[i] = (4 * i) | (4 * i + 1) << 8 | (4 * i + 2) << 16 | (4 * i + 3) << 24;
    auto block = chacha20_block(key, 1, { 0x09000000, 0x4a000000, 0 });
    const std::array<u32, 16> expected { 0xe4e7f110, 0x15593bd1, 0x1fdd0f50, 0xc47120a3, 0xc7f4d1c7, 0x0368c033,
        0x9aaa2204, 0x4e6cd4c3, 0x466482d2, 0x09aa9f07, 0x05d7c214, 0xa2028bd9, 0xd19c12b5, 0xb94e16de, 0xe883d0cb,
        0x4e3c50a2 };
    EXPECT_EQ(block, expected);
}

TEST(RandomGenerator, IsSeededOnceEnoughWasCredited)
{
    RandomGenerator generator;
    std::array<u8, 16> bytes { 1, 2, 3 };
    EXPECT_FALSE(generator.is_seeded());
    generator.add(bytes, 0);
    EXPECT_FALSE(generator.is_seeded());
    generator.add(bytes, 128);
    EXPECT_FALSE(generator.is_seeded());
    generator.add(bytes, 128);
    EXPECT_TRUE(generator.is_seeded());
}

TEST(RandomGenerator, SameSeedSameOutputAndEachInputCounts)
{
    RandomGenerator one;
    RandomGenerator two;
    std::array<u8, 40> bytes {};
    one.add(bytes, 256);
    two.add(bytes, 256);
    EXPECT_EQ(one.next(), two.next());
    bytes[39] = 1;
    one.add(bytes, 0);
    bytes[39] = 2;
    two.add(bytes, 0);
    EXPECT_NE(one.next(), two.next());
}

TEST(RandomGenerator, OutputDoesNotRepeatAndLooksEven)
{
    RandomGenerator generator;
    std::set<u64> seen;
    u64 ones = 0;
    for (unsigned i = 0; i < 10000; ++i) {
        u64 word = generator.next();
        EXPECT_TRUE(seen.insert(word).second);
        ones += static_cast<u64>(std::popcount(word));
    }
    EXPECT_NEAR(static_cast<double>(ones), 320000.0, 2000.0);
    for (usize length : { 1, 8, 31, 32, 33, 64, 1000 }) {
        std::vector<u8> first(length, 0);
        std::vector<u8> second(length, 0);
        generator.fill_long(first);
        generator.fill_long(second);
        if (length >= 8) {
            EXPECT_NE(first, second);
        }
        if (length == 1000) {
            EXPECT_LT(std::ranges::count(first, 0), 20);
        }
    }
}

TEST(Random, TheKernelsOwnIsSeededByWhatIsCredited)
{
    // Not by the clock's jitter: how much there is of it is the machine's affair.
    const std::array<u8, 32> unknown { 7, 1, 3 };
    random_add(unknown, 256);
    EXPECT_TRUE(random_is_seeded());
    EXPECT_NE(random_u64(), random_u64());
}
