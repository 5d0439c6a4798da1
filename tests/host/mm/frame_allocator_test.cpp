#include <gtest/gtest.h>

#include "arch/host/machine.h"
#include "mm/frame_allocator.h"

#include <random>
#include <vector>

using namespace eremite;

namespace {

/// An allocator over the machine's spare memory, in ranges given in frames from its start.
class Allocator {
public:
    Allocator(std::initializer_list<std::pair<u64, u64>> ranges)
    {
        host_machine();
        for (auto [first, end] : ranges) {
            PhysicalAddress start = HostMachine::k_spare.start + first * k_page_size;
            EXPECT_TRUE(frames.add_range({ start, (end - first) * k_page_size }).has_value());
        }
    }
    FrameAllocator frames;
};

} // namespace

TEST(FrameAllocator, GivesAllThereIsAndTakesItBack)
{
    Allocator allocator { { 0, 16384 } };
    FrameAllocator& frames = allocator.frames;
    FrameStatistics before = frames.statistics();
    EXPECT_EQ(before.total, 16384u - 4); // a byte of state per frame
    std::vector<PhysicalAddress> taken;
    while (true) {
        auto frame = frames.allocate(0);
        if (frame.is_error())
            break;
        taken.push_back(frame.value());
    }
    EXPECT_EQ(taken.size(), before.total);
    EXPECT_EQ(frames.statistics().free, 0u);
    frames.check();
    for (PhysicalAddress frame : taken)
        frames.free(frame, 0);
    frames.check();
    EXPECT_EQ(frames.statistics().free, before.free);
    // Everything has merged again.
    EXPECT_TRUE(frames.allocate(k_max_order).has_value());
}

TEST(FrameAllocator, RandomUseAgreesWithAModel)
{
    Allocator allocator { { 5, 3000 }, { 3001, 3009 }, { 4100, 9000 } };
    FrameAllocator& frames = allocator.frames;
    usize free_before = frames.statistics().free;
    std::mt19937 random(1);
    std::vector<std::pair<u64, unsigned>> blocks; // frame number, order
    std::vector<bool> used(16384);
    u64 base = HostMachine::k_spare.start.value() >> k_page_shift;
    usize in_use = 0;
    for (unsigned step = 0; step < 20000; ++step) {
        if (random() % 5 < 3) {
            unsigned order = std::min<unsigned>(random() % 12, random() % 12);
            auto block = frames.allocate(order);
            if (block.is_error())
                continue;
            u64 first = block.value().value() >> k_page_shift;
            EXPECT_EQ(first & ((1u << order) - 1), 0u);
            for (u64 i = first; i < first + (1u << order); ++i) {
                ASSERT_FALSE(used[i - base]);
                used[i - base] = true;
            }
            in_use += 1u << order;
            if (order > 0 && random() % 4 == 0) {
                frames.split(block.value(), order);
                for (u64 i = 0; i < (1u << order); ++i)
                    blocks.emplace_back(first + i, 0);
            } else {
                blocks.emplace_back(first, order);
            }
        } else if (!blocks.empty()) {
            usize victim = random() % blocks.size();
            auto [first, order] = blocks[victim];
            blocks[victim] = blocks.back();
            blocks.pop_back();
            EXPECT_TRUE(frames.is_allocated(PhysicalAddress((first + (1u << order) - 1) << k_page_shift)));
            frames.free(PhysicalAddress(first << k_page_shift), order);
            for (u64 i = first; i < first + (1u << order); ++i)
                used[i - base] = false;
            in_use -= 1u << order;
        }
        ASSERT_EQ(frames.statistics().free, free_before - in_use);
        if (step % 500 == 0)
            frames.check();
    }
    for (auto [first, order] : blocks)
        frames.free(PhysicalAddress(first << k_page_shift), order);
    frames.check();
    EXPECT_EQ(frames.statistics().free, free_before);
}

TEST(FrameAllocatorDeathTest, NoticesMisuse)
{
    Allocator allocator { { 0, 4096 } };
    FrameAllocator& frames = allocator.frames;
    PhysicalAddress block = frames.allocate(3).value();
    EXPECT_DEATH(frames.free(block, 2), "assertion failed");
    EXPECT_DEATH(frames.free(block + k_page_size, 0), "assertion failed");
    frames.free(block, 3);
    EXPECT_DEATH(frames.free(block, 3), "assertion failed");
    EXPECT_DEATH(frames.free(PhysicalAddress(k_page_size), 0), "assertion failed");
    PhysicalAddress frame = frames.allocate(0).value();
    frames.free(frame, 0);
    EXPECT_DEATH(frames.free(frame, 0), "assertion failed");
}

TEST(FrameAllocatorDeathTest, NoticesWritesToFreeMemory)
{
    Allocator allocator { { 0, 4096 } };
    FrameAllocator& frames = allocator.frames;
    PhysicalAddress first = frames.allocate(1).value();
    PhysicalAddress second = frames.allocate(1).value();
    frames.free(first, 1);
    frames.free(second, 1);
    EXPECT_DEATH(
        {
            memset(direct_map(first), 0x41, 16);
            memset(direct_map(second), 0x41, 16);
            for (unsigned i = 0; i < 8; ++i)
                static_cast<void>(frames.allocate(1).is_error());
            frames.check();
        },
        "assertion failed|runtime error|AddressSanitizer");
}
