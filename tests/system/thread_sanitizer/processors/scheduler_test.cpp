// The scheduler on a machine of several processors (machine.h). Meant for ThreadSanitizer; what they check themselves
// is that nothing is lost. The standard headers first: the kernel takes back the names of errno that they use.
#include <array>
#include <thread>
#include <vector>

#include "machine.h"

#include "arch/clock.h"
#include "sched/futex.h"
#include "sched/run_queue.h"
#include "sched/scheduler.h"

#include <gtest/gtest.h>

using namespace eremite;

namespace {

constexpr CpuMask k_everywhere = (CpuMask { 1 } << model::k_processors) - 1;

/// The tests run in the kernel's first thread.
class SchedulerTest : public testing::Test {
protected:
    static void SetUpTestSuite()
    {
        [[maybe_unused]] static const bool s_once = (model::start_machine(), true); // for all repetitions
    }
};

/// How many of a test's threads have not ended yet.
class Group {
public:
    RefPtr<Thread> add(Thread::Entry entry, void* argument)
    {
        {
            Locked lock(m_lock);
            ++m_count;
        }
        return Thread::create("test", entry, argument).value();
    }
    /// The last that each thread does.
    void leave()
    {
        Locked lock(m_lock);
        --m_count;
        m_ended.wake_all();
    }
    void wait()
    {
        Locked lock(m_lock);
        EXPECT_TRUE(m_ended
                .wait_until(
                    m_lock, [&]() NO_THREAD_SAFETY_ANALYSIS { return m_count == 0; }, Nanoseconds::max(),
                    Interruptible::No)
                .has_value());
    }

private:
    SpinLock m_lock;
    WaitQueue m_ended;
    u32 m_count GUARDED_BY(m_lock) { 0 };
};

class Random {
public:
    explicit Random(u64 seed)
        : m_state(seed * 0x9e37'79b9'7f4a'7c15 + 1)
    {
    }
    u32 below(u32 limit)
    {
        m_state ^= m_state << 13;
        m_state ^= m_state >> 7;
        m_state ^= m_state << 17;
        return static_cast<u32>(m_state >> 32) % limit;
    }

private:
    u64 m_state;
};

void work(u32 steps)
{
    for (u32 i = 0; i < steps; ++i)
        model::interrupt_point();
}

u32 running_on()
{
    arch::disable_preemption();
    u32 cpu = arch::this_cpu().id;
    arch::enable_preemption();
    return cpu;
}

} // namespace

TEST_F(SchedulerTest, SpreadsThreadsThatCompute)
{
    struct Shared {
        Group group;
        std::atomic<u64> seen { 0 };
    } shared;
    for (int i = 0; i < 8; ++i)
        shared.group
            .add(
                [](void* argument) {
                    auto& all = *static_cast<Shared*>(argument);
                    while (all.seen.load() != k_everywhere) {
                        all.seen.fetch_or(u64 { 1 } << running_on());
                        work(10);
                    }
                    all.group.leave();
                },
                &shared)
            ->start();
    shared.group.wait();
    EXPECT_EQ(shared.seen.load(), k_everywhere);
}

TEST_F(SchedulerTest, StaysWhereItIsToldTo)
{
    struct Shared {
        Group group;
        std::atomic<u32> wrong { 0 };
    } shared;
    std::vector<RefPtr<Thread>> threads;
    for (int i = 0; i < 6; ++i) {
        threads.push_back(shared.group.add(
            [](void* argument) {
                auto& all = *static_cast<Shared*>(argument);
                Random random(static_cast<u64>(current().tid()));
                for (int k = 0; k < 150; ++k) {
                    u32 wanted = random.below(model::k_processors);
                    EXPECT_TRUE(set_affinity(current(), CpuMask { 1 } << wanted).has_value());
                    work(random.below(20));
                    if (running_on() != wanted)
                        all.wrong.fetch_add(1);
                    if (random.below(4) == 0)
                        EXPECT_TRUE(sleep_until(arch::now() + Nanoseconds::from_microseconds(30), Interruptible::No)
                                .has_value());
                }
                all.group.leave();
            },
            &shared));
        threads.back()->start();
    }
    shared.group.wait();
    EXPECT_EQ(shared.wrong.load(), 0u);
}

TEST_F(SchedulerTest, LosesNoWakeUp)
{
    struct Shared {
        Group group;
        SpinLock lock;
        WaitQueue changed;
        u32 turn { 0 };
        u32 next_number { 0 };
        Mutex mutex;
        u64 counter { 0 };
    } shared;
    constexpr u32 count = 6;
    constexpr u32 rounds = 300;
    for (u32 i = 0; i < count; ++i)
        shared.group
            .add(
                [](void* argument) {
                    auto& all = *static_cast<Shared*>(argument);
                    u32 number = 0;
                    {
                        Locked lock(all.lock);
                        number = all.next_number++;
                    }
                    for (u32 round = 0; round < rounds; ++round) {
                        {
                            Locked lock(all.lock);
                            EXPECT_TRUE(all.changed
                                    .wait_until(
                                        all.lock, [&] { return all.turn % count == number; }, Nanoseconds::max(),
                                        Interruptible::No)
                                    .has_value());
                            ++all.turn;
                        }
                        all.changed.wake_all();
                        Locked lock(all.mutex);
                        ++all.counter;
                        work(1);
                    }
                    all.group.leave();
                },
                &shared)
            ->start();
    shared.group.wait();
    EXPECT_EQ(shared.turn, count * rounds);
    EXPECT_EQ(shared.counter, u64 { count } * rounds);
}

TEST_F(SchedulerTest, TimersCallBackOnceOrNotAtAll)
{
    struct Shared {
        Group group;
        std::atomic<u32> called { 0 };
        std::atomic<u32> armed { 0 };
    } shared;
    for (int i = 0; i < 6; ++i)
        shared.group
            .add(
                [](void* argument) {
                    auto& all = *static_cast<Shared*>(argument);
                    Random random(static_cast<u64>(current().tid()));
                    u32 calls = 0;
                    struct Context {
                        Shared& all;
                        u32& calls;
                    } context { all, calls };
                    for (int k = 0; k < 200; ++k) {
                        Timer timer(
                            [](Timer& self) {
                                auto& its = *static_cast<Context*>(self.context());
                                ++its.calls; // read after cancel() alone
                                its.all.called.fetch_add(1);
                            },
                            &context);
                        calls = 0;
                        timer.arm(arch::now() + Nanoseconds::from_microseconds(random.below(100)));
                        work(random.below(30));
                        if (random.below(3) == 0)
                            yield();
                        timer.cancel();
                        EXPECT_LE(calls, 1u);
                        all.armed.fetch_add(1);
                    }
                    all.group.leave();
                },
                &shared)
            ->start();
    shared.group.wait();
    EXPECT_LE(shared.called.load(), shared.armed.load());
    EXPECT_GT(shared.called.load(), 0u);
}

namespace {

/// Threads that do to each other whatever they can.
struct Chaos {
    static constexpr u32 k_threads = 12;
    static constexpr u32 k_steps = 1000;

    Group group;
    std::array<RefPtr<Thread>, k_threads> threads;
    std::atomic<u32> word { 0 };
    Mutex mutex;
    u64 counter { 0 };
    std::atomic<u64> expected { 0 };

    void step(Random& random);
};

void Chaos::step(Random& random)
{
    Thread& other = *threads[random.below(k_threads)];
    auto soon = [&] { return arch::now() + Nanoseconds::from_microseconds(random.below(200)); };
    switch (random.below(10)) {
    case 0:
        yield();
        break;
    case 1:
        wake_thread(other); // what sleeps looks whether it was meant
        break;
    case 2:
        set_scheduling(other, SchedulingPolicy::Fifo, static_cast<u8>(1 + random.below(3)));
        break;
    case 3:
        set_scheduling(other, SchedulingPolicy::RoundRobin, 2);
        break;
    case 4:
        set_scheduling(other, SchedulingPolicy::Other, 0);
        break;
    case 5:
        EXPECT_TRUE(set_affinity(other, 1 + random.below(k_everywhere)).has_value());
        break;
    case 6:
        EXPECT_TRUE(sleep_until(soon(), Interruptible::No).has_value());
        break;
    case 7: {
        auto result = futex_wait(reinterpret_cast<u64>(&word), 0, 1, soon());
        EXPECT_TRUE(result.has_value() || result.error() == Errno::ETIMEDOUT || result.error() == Errno::EAGAIN);
        break;
    }
    case 8:
        EXPECT_TRUE(futex_wake(reinterpret_cast<u64>(&word), 2).has_value());
        break;
    case 9: {
        Locked lock(mutex);
        ++counter;
        expected.fetch_add(1);
        work(2);
        break;
    }
    }
    EXPECT_GE(other.cpu_time().value(), 0);
    work(random.below(10));
}

} // namespace

TEST_F(SchedulerTest, SurvivesChaos)
{
    Chaos chaos;
    for (auto& thread : chaos.threads)
        thread = chaos.group.add(
            [](void* argument) {
                auto& all = *static_cast<Chaos*>(argument);
                Random random(static_cast<u64>(current().tid()));
                for (u32 i = 0; i < Chaos::k_steps; ++i)
                    all.step(random);
                all.group.leave();
            },
            &chaos);
    for (auto& thread : chaos.threads)
        thread->start();
    chaos.group.wait();
    EXPECT_EQ(chaos.counter, chaos.expected.load());
    for (auto& thread : chaos.threads)
        thread = nullptr;
}

TEST_F(SchedulerTest, ThreadsEndEverywhere)
{
    Group group;
    std::atomic<u32> ended { 0 };
    struct Context {
        Group& group;
        std::atomic<u32>& ended;
    } context { group, ended };
    constexpr u32 count = 400;
    for (u32 i = 0; i < count; ++i) {
        group
            .add(
                [](void* argument) {
                    auto& its = *static_cast<Context*>(argument);
                    yield();
                    its.ended.fetch_add(1);
                    its.group.leave();
                },
                &context)
            ->start();
        if (i % 16 == 15)
            yield();
    }
    group.wait();
    EXPECT_EQ(ended.load(), count);
}
