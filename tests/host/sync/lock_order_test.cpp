#include <thread>

#include "sync/spin_lock.h"

#include <gtest/gtest.h>

using namespace eremite;

namespace {

int s_reports;

/// Counts what is found, instead of ending.
class LockOrderTest : public testing::Test {
protected:
    LockOrderTest()
        : m_before(set_lock_order_report([](LockClass, LockClass) { ++s_reports; }))
    {
        s_reports = 0;
    }
    ~LockOrderTest() override { set_lock_order_report(m_before); }

private:
    LockOrderReport m_before;
};

template<typename A, typename B> void take(A& outer, B& inner)
{
    Locked first(outer);
    Locked second(inner);
}

} // namespace

TEST_F(LockOrderTest, TheSameOrderIsFine)
{
    SpinLock a;
    InterruptSpinLock b;
    SpinLock m;
    for (int i = 0; i < 3; ++i) {
        take(m, a);
        take(a, b);
        take(m, b);
    }
    EXPECT_EQ(s_reports, 0);
}

TEST_F(LockOrderTest, BothOrdersAreFoundThoughNobodyEverWaits)
{
    SpinLock a;
    SpinLock b;
    take(a, b);
    EXPECT_EQ(s_reports, 0);
    take(b, a);
    EXPECT_EQ(s_reports, 1);
    // Once is enough.
    take(b, a);
    EXPECT_EQ(s_reports, 1);
}

TEST_F(LockOrderTest, OrdersOfSeveralThreadsMakeACircle)
{
    SpinLock a;
    SpinLock b;
    InterruptSpinLock c;
    std::thread([&] { take(b, a); }).join();
    std::thread([&] { take(a, c); }).join();
    EXPECT_EQ(s_reports, 0);
    std::thread([&] {
        Locked first(c);
        if (b.try_lock()) // didn't wait: no harm
            b.unlock();
        b.lock();
        b.unlock();
    }).join();
    EXPECT_EQ(s_reports, 1);
}

TEST_F(LockOrderTest, LocksOfOneClassAreTheirOwnersBusiness)
{
    SpinLock locks[2];
    take(locks[0], locks[1]);
    take(locks[1], locks[0]);
    EXPECT_EQ(s_reports, 0);
}

TEST_F(LockOrderTest, ReleasedOutOfOrder)
{
    SpinLock a;
    SpinLock b;
    SpinLock c;
    a.lock();
    b.lock();
    a.unlock();
    b.unlock();
    c.lock(); // after neither
    c.unlock();
    take(c, a);
    EXPECT_EQ(s_reports, 0);
}
