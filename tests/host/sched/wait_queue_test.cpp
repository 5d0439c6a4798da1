// The standard headers first: the kernel takes back the names of errno that they use.
#include <thread>
#include <vector>

#include "sched/wait_queue.h"

#include "arch/clock.h"

#include <gtest/gtest.h>

using namespace eremite;

namespace {

struct Item {
    explicit Item(int n)
        : number(n)
    {
    }
    int number;
    ChainHook<Item> hook {};
};
using Items = Chain<Item, &Item::hook>;

std::vector<int> numbers(const Items& items)
{
    std::vector<int> result;
    for (Item& item : items)
        result.push_back(item.number);
    return result;
}

} // namespace

TEST(Chain, KeepsOrder)
{
    Items items;
    Item a(1), b(2), c(3), d(4);
    items.push_back(b);
    items.push_front(a);
    items.push_back(d);
    items.insert_before(d, c);
    EXPECT_EQ(numbers(items), (std::vector { 1, 2, 3, 4 }));
    items.remove(b);
    items.remove(d);
    EXPECT_EQ(numbers(items), (std::vector { 1, 3 }));
    EXPECT_EQ(items.pop_front(), &a);
    EXPECT_EQ(items.last(), &c);
    items.remove(c);
    EXPECT_TRUE(items.is_empty());
    EXPECT_EQ(items.pop_front(), nullptr);
}

TEST(WaitQueue, TellsCallbacksTheEvents)
{
    WaitQueue queue;
    u32 seen = 0;
    Waiter waiter([](Waiter& self, u32 events) { *static_cast<u32*>(self.context()) |= events; }, &seen);
    queue.add(waiter);
    EXPECT_FALSE(queue.is_empty());
    queue.wake(1, 4);
    queue.wake_all(1);
    EXPECT_EQ(seen, 5u);
    queue.remove(waiter);
    queue.wake_all(8);
    EXPECT_EQ(seen, 5u);
    EXPECT_TRUE(queue.is_empty());
}

TEST(WaitQueue, TimesOut)
{
    WaitQueue queue;
    SpinLock lock;
    Locked locked(lock);
    auto result = queue.wait_until(lock, [] { return false; }, arch::now() + Nanoseconds::from_milliseconds(3));
    EXPECT_EQ(result.error(), Errno::ETIMEDOUT);
    EXPECT_TRUE(queue.is_empty());
}

TEST(WaitQueue, HandsOverOneByOne)
{
    WaitQueue queue;
    SpinLock lock;
    int tokens = 0;
    std::atomic<int> taken { 0 };
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([&] {
            for (int j = 0; j < 200; ++j) {
                Locked locked(lock);
                EXPECT_TRUE(
                    queue.wait_until(
                             lock, [&] { return tokens > 0; }, Nanoseconds::max(), Interruptible::No, true)
                        .has_value());
                --tokens;
                ++taken;
            }
        });
    for (int i = 0; i < 800; ++i) {
        {
            Locked locked(lock);
            ++tokens;
        }
        queue.wake(1);
    }
    for (auto& thread : threads)
        thread.join();
    EXPECT_EQ(taken, 800);
    EXPECT_EQ(tokens, 0);
}

TEST(Mutex, ExcludesAndLosesNoWakeUp)
{
    Mutex mutex;
    long counter = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([&] {
            for (int j = 0; j < 3000; ++j) {
                Locked locked(mutex);
                ++counter;
            }
        });
    for (auto& thread : threads)
        thread.join();
    EXPECT_EQ(counter, 12000);
    bool is_free = mutex.try_lock();
    EXPECT_TRUE(is_free);
    if (is_free) {
        EXPECT_TRUE(mutex.is_held_by_current_thread());
        mutex.unlock();
    }
}
