// The standard headers first: the kernel takes back the names of errno that they use.
#include <atomic>
#include <thread>
#include <vector>

#include "sched/futex.h"

#include "arch/clock.h"

#include <gtest/gtest.h>

using namespace eremite;

namespace {

constexpr u32 k_any = ~u32 { 0 };
constexpr Nanoseconds k_never = Nanoseconds::max();

u64 address_of(std::atomic<u32>& word)
{
    return reinterpret_cast<u64>(&word);
}

/// Wakes until `count` have been woken: those on their way to sleep are not there yet.
void wake_all_of(std::atomic<u32>& word, usize count, u32 bitset = k_any)
{
    for (usize woken = 0; woken < count;) {
        auto result = futex_wake(address_of(word), count - woken, bitset);
        ASSERT_TRUE(result.has_value());
        woken += result.value();
        std::this_thread::yield();
    }
}

} // namespace

TEST(Futex, DoesNotSleepOnAnotherValue)
{
    std::atomic<u32> word { 1 };
    auto result = futex_wait(address_of(word), 2, k_any, k_never);
    ASSERT_TRUE(result.is_error());
    EXPECT_EQ(result.error(), Errno::EAGAIN);
}

TEST(Futex, RefusesWhatIsNoWord)
{
    std::atomic<u32> word { 0 };
    EXPECT_EQ(futex_wait(address_of(word) + 1, 0, k_any, k_never).error(), Errno::EINVAL);
    EXPECT_EQ(futex_wait(address_of(word), 0, 0, k_never).error(), Errno::EINVAL);
    EXPECT_EQ(futex_wake(0xffff'8000'0000'0000, 1).error(), Errno::EFAULT);
}

TEST(Futex, TimesOut)
{
    std::atomic<u32> word { 0 };
    auto result = futex_wait(address_of(word), 0, k_any, arch::now() + Nanoseconds::from_milliseconds(5));
    EXPECT_EQ(result.error(), Errno::ETIMEDOUT);
    EXPECT_EQ(futex_wake(address_of(word), 1).value(), 0u);
}

TEST(Futex, WakesAsManyAsAsked)
{
    std::atomic<u32> word { 0 };
    std::atomic<int> awake { 0 };
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([&] {
            EXPECT_TRUE(futex_wait(address_of(word), 0, k_any, k_never).has_value());
            ++awake;
        });
    wake_all_of(word, 1);
    while (awake != 1)
        std::this_thread::yield();
    wake_all_of(word, 3);
    for (auto& thread : threads)
        thread.join();
    EXPECT_EQ(awake, 4);
}

TEST(Futex, WakesByBits)
{
    std::atomic<u32> word { 0 };
    std::thread one([&] { EXPECT_TRUE(futex_wait(address_of(word), 0, 1, k_never).has_value()); });
    std::thread two([&] { EXPECT_TRUE(futex_wait(address_of(word), 0, 2, k_never).has_value()); });
    wake_all_of(word, 1, 2);
    two.join();
    EXPECT_EQ(futex_wake(address_of(word), 9, 4).value(), 0u);
    wake_all_of(word, 1, 1);
    one.join();
}

TEST(Futex, MovesWaitersToAnotherWord)
{
    std::atomic<u32> from { 0 }, to { 0 };
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i)
        threads.emplace_back([&] { EXPECT_TRUE(futex_wait(address_of(from), 0, k_any, k_never).has_value()); });
    u32 wrong = 1, right = 0;
    EXPECT_EQ(futex_requeue(address_of(from), address_of(to), 1, 9, &wrong).error(), Errno::EAGAIN);
    for (usize done = 0; done < 3;)
        done += futex_requeue(address_of(from), address_of(to), 0, 9, &right).value();
    EXPECT_EQ(futex_wake(address_of(from), 9).value(), 0u);
    EXPECT_EQ(futex_wake(address_of(to), 9).value(), 3u);
    for (auto& thread : threads)
        thread.join();
}

TEST(Futex, ChangesAWordAndWakesByItsOldValue)
{
    std::atomic<u32> first { 0 }, second { 5 };
    // FUTEX_OP_ADD 3, FUTEX_OP_CMP_GT 4.
    u32 operation = 1u << 28 | 4u << 24 | 3u << 12 | 4u;
    EXPECT_EQ(futex_wake_operation(address_of(first), address_of(second), 1, 1, operation).value(), 0u);
    EXPECT_EQ(second, 8u);
    // FUTEX_OP_OR with the argument as a shift.
    operation = (2u | 8u) << 28 | 10u << 12;
    EXPECT_EQ(futex_wake_operation(address_of(first), address_of(second), 1, 1, operation).value(), 0u);
    EXPECT_EQ(second, 8u | 1024u);
}

TEST(Futex, IsAMutexThatLosesNoWakeUp)
{
    // The three-state mutex, hammered: a lost wake-up would hang here.
    std::atomic<u32> word { 0 };
    long counter = 0;
    auto lock = [&] {
        u32 seen = 0;
        if (word.compare_exchange_strong(seen, 1))
            return;
        while (word.exchange(2) != 0)
            static_cast<void>(futex_wait(address_of(word), 2, k_any, k_never).is_error());
    };
    auto unlock = [&] {
        if (word.exchange(0) == 2)
            EXPECT_TRUE(futex_wake(address_of(word), 1).has_value());
    };
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([&] {
            for (int j = 0; j < 5000; ++j) {
                lock();
                ++counter;
                unlock();
            }
        });
    for (auto& thread : threads)
        thread.join();
    EXPECT_EQ(counter, 20000);
}
