#include <gtest/gtest.h>

#include "drivers/virtio/virtqueue.h"

#include "arch/host/machine.h"
#include "drivers/model_device.h"

using namespace eremite;
using namespace eremite::virtio;

namespace {

struct Fixture {
    explicit Fixture(u16 size = 8, bool event_index = true, u16 tables = 0)
        : queue((host_machine(),
              Virtqueue::create({ .owner = "test",
                                    .size = size,
                                    .event_index = event_index,
                                    .indirect_tables = tables,
                                    .indirect_length = 8 })
                  .release_value()))
        , device(*queue, event_index)
    {
    }

    bool push(usize readable, usize writable, int& token)
    {
        std::vector<DmaSegment> out(readable, { PhysicalAddress(0x1000), 16 });
        std::vector<DmaSegment> in(writable, { PhysicalAddress(0x2000), 32 });
        return queue->push(out, in, &token);
    }
    /// Expects that the queue gives nothing, and is shut.
    void expect_shut()
    {
        Virtqueue::Completion completion;
        EXPECT_FALSE(queue->pop(completion));
        EXPECT_TRUE(queue->is_broken());
        int token = 0;
        EXPECT_FALSE(push(1, 0, token));
        EXPECT_FALSE(queue->publish());
    }

    OwnPtr<Virtqueue> queue;
    ModelDevice device;
};

TEST(Virtqueue, GivesBackWhatTheDeviceIsDoneWith)
{
    Fixture t;
    int first = 0;
    int second = 0;
    ASSERT_TRUE(t.push(1, 1, first));
    ASSERT_TRUE(t.push(0, 2, second));
    EXPECT_FALSE(t.device.take()); // not published yet
    t.queue->publish();
    auto a = t.device.take();
    auto b = t.device.take();
    ASSERT_TRUE(a && b);
    ASSERT_EQ(a->segments.size(), 2u);
    EXPECT_FALSE(a->segments[0].writable);
    EXPECT_TRUE(a->segments[1].writable);
    EXPECT_EQ(a->segments[1].address, 0x2000u);
    // In another order than they came.
    t.device.give_back(b->head, 64);
    t.device.give_back(a->head, 5);
    Virtqueue::Completion completion;
    ASSERT_TRUE(t.queue->pop(completion));
    EXPECT_EQ(completion.token, &second);
    EXPECT_EQ(completion.length, 64u);
    ASSERT_TRUE(t.queue->pop(completion));
    EXPECT_EQ(completion.token, &first);
    EXPECT_FALSE(t.queue->pop(completion));
    EXPECT_EQ(t.queue->outstanding(), 0);
}

TEST(Virtqueue, GoesRoundManyTimes)
{
    for (u16 tables : { 0, 2 }) {
        Fixture t(8, true, tables);
        std::array<int, 8> tokens {};
        for (unsigned round = 0; round < 70000; ++round) {
            usize segments = 1 + round % (tables != 0 ? 8 : 3);
            ASSERT_TRUE(t.push(1, segments - 1, tokens[round % 8])) << round;
            t.queue->publish();
            auto chain = t.device.take();
            ASSERT_TRUE(chain);
            ASSERT_EQ(chain->segments.size(), segments);
            t.device.give_back(chain->head, 0);
            Virtqueue::Completion completion;
            ASSERT_TRUE(t.queue->pop(completion));
            ASSERT_EQ(completion.token, &tokens[round % 8]);
        }
        EXPECT_TRUE(t.queue->has_room(8));
    }
}

TEST(Virtqueue, RefusesWhatHasNoRoom)
{
    Fixture t(4);
    int token = 0;
    EXPECT_FALSE(t.push(5, 0, token));
    EXPECT_TRUE(t.push(3, 0, token));
    EXPECT_FALSE(t.push(2, 0, token));
    EXPECT_TRUE(t.push(1, 0, token));
    EXPECT_FALSE(t.push(1, 0, token));
    EXPECT_EQ(t.queue->reclaim(), &token);
    EXPECT_EQ(t.queue->reclaim(), &token);
    EXPECT_EQ(t.queue->reclaim(), nullptr);
    EXPECT_TRUE(t.queue->has_room(4));
}

TEST(Virtqueue, LongChainsTakeOneDescriptor)
{
    Fixture t(4, true, 1);
    int token = 0;
    EXPECT_TRUE(t.push(4, 4, token));
    EXPECT_FALSE(t.push(4, 4, token)); // the only table is taken
    EXPECT_TRUE(t.push(3, 0, token));
}

TEST(Virtqueue, NotifiesOnlyWhenAsked)
{
    Fixture t;
    int token = 0;
    t.device.ask_for_notification(1);
    t.push(1, 0, token);
    EXPECT_FALSE(t.queue->publish());
    t.push(1, 0, token);
    EXPECT_TRUE(t.queue->publish());
    EXPECT_FALSE(t.queue->publish()); // nothing new
}

TEST(Virtqueue, InterruptsComeWhereTheyWereAskedFor)
{
    Fixture t;
    int token = 0;
    t.queue->disable_interrupts();
    for (int i = 0; i < 3; ++i)
        t.push(1, 0, token);
    t.queue->publish();
    t.device.give_back(t.device.take()->head, 0);
    EXPECT_FALSE(t.device.is_interrupt_wanted(0));
    EXPECT_TRUE(t.queue->enable_interrupts()); // one waits already
    Virtqueue::Completion completion;
    t.queue->pop(completion);
    EXPECT_FALSE(t.queue->enable_interrupts_after(2));
    t.device.give_back(t.device.take()->head, 0);
    EXPECT_FALSE(t.device.is_interrupt_wanted(1));
    t.device.give_back(t.device.take()->head, 0);
    EXPECT_TRUE(t.device.is_interrupt_wanted(2));
}

TEST(VirtqueueHostile, IdOutOfRange)
{
    Fixture t;
    int token = 0;
    t.push(1, 0, token);
    t.queue->publish();
    t.device.give_back(8, 0);
    t.expect_shut();
}

TEST(VirtqueueHostile, IdThatItDoesNotHave)
{
    Fixture t;
    int token = 0;
    t.push(2, 0, token);
    t.queue->publish();
    t.device.give_back(static_cast<u16>(t.device.take()->head + 1), 0); // the second of the chain
    t.expect_shut();
}

TEST(VirtqueueHostile, TheSameTwice)
{
    Fixture t;
    int token = 0;
    t.push(1, 0, token);
    t.push(1, 0, token);
    t.queue->publish();
    u16 head = t.device.take()->head;
    t.device.give_back(head, 0);
    t.device.give_back(head, 0);
    Virtqueue::Completion completion;
    EXPECT_TRUE(t.queue->pop(completion));
    t.expect_shut();
}

TEST(VirtqueueHostile, MoreThanThereIsRoomFor)
{
    Fixture t;
    int token = 0;
    t.push(1, 1, token);
    t.queue->publish();
    t.device.give_back(t.device.take()->head, 33);
    t.expect_shut();
}

TEST(VirtqueueHostile, IndexThatRunsAhead)
{
    Fixture t;
    int token = 0;
    t.push(1, 0, token);
    t.queue->publish();
    t.device.set_used_index(0x8000);
    t.expect_shut();
}

} // namespace
