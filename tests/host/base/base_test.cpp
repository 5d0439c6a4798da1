#include <gtest/gtest.h>

#include "base/chain.h"
#include "base/format.h"
#include "base/intrusive.h"
#include "base/owned.h"
#include "base/string.h"
#include "base/vector.h"

#include <array>
#include <string>

using namespace eremite;

namespace {

template<typename... Arguments> std::string formatted(std::string_view pattern, const Arguments&... arguments)
{
    std::array<char, 128> buffer;
    return std::string(eremite::format(buffer, pattern, arguments...));
}

struct Counted : RefCounted<Counted> {
    explicit Counted(int& alive)
        : alive(alive)
    {
        ++alive;
    }
    ~Counted() { --alive; }
    int& alive;
};

Result<int> half(int n)
{
    if (n % 2 != 0)
        return Errno::EINVAL;
    return n / 2;
}

Result<int> quarter(int n)
{
    return half(TRY(half(n)));
}

} // namespace

TEST(Result, TryReturnsTheFirstError)
{
    EXPECT_EQ(quarter(12).value(), 3);
    EXPECT_EQ(quarter(6).error(), Errno::EINVAL);
    EXPECT_EQ(quarter(5).value_or(-1), -1);
}

TEST(Format, FillsIn)
{
    EXPECT_EQ(formatted("{} and {}", 1, "two"), "1 and two");
    EXPECT_EQ(formatted("{:x} {}", 255, PhysicalAddress(0x1000)), "0xff 0x1000");
    EXPECT_EQ(formatted("{}", INT64_MIN), "-9223372036854775808");
    EXPECT_EQ(formatted("{} {}", Errno::ENOENT), "ENOENT {?}");
    EXPECT_EQ(formatted("{:5}|", 42), "   42|");
    EXPECT_EQ(formatted("open {"), "open {?}");
}

TEST(Format, CutsWhatDoesNotFit)
{
    std::array<char, 4> buffer;
    BufferSink sink(buffer);
    format_to(sink, "{}", 1234567);
    EXPECT_EQ(sink.text(), "1234");
    EXPECT_TRUE(sink.truncated());
}

TEST(Ownership, LastReferenceDestroys)
{
    int alive = 0;
    {
        auto first = make_ref<Counted>(alive).release_value();
        RefPtr<Counted> second = first;
        first = nullptr;
        EXPECT_EQ(alive, 1);
        EXPECT_EQ(second->reference_count(), 1u);
    }
    EXPECT_EQ(alive, 0);
}

TEST(Vector, GrowsAndKeepsItsElements)
{
    Vector<String> vector;
    for (int i = 0; i < 100; ++i)
        ASSERT_TRUE(vector.try_append(String::create(formatted("n{}", i)).release_value()).has_value());
    EXPECT_EQ(vector[57].view(), "n57");
    vector.remove_unordered(0);
    EXPECT_EQ(vector[0].view(), "n99");
    EXPECT_EQ(vector.size(), 99u);
    EXPECT_EQ(vector.try_reserve(SIZE_MAX / 2).error(), Errno::ENOMEM);
    EXPECT_EQ(vector.size(), 99u);
}

TEST(Types, SaturateAndAlign)
{
    EXPECT_EQ(Nanoseconds::max() + Nanoseconds(1), Nanoseconds::max());
    EXPECT_EQ(align_up(4097, 4096), 8192u);
    EXPECT_EQ(align_down(4097, 4096), 4096u);
    EXPECT_TRUE((VirtualRange { VirtualAddress(10), 5 }).contains(VirtualAddress(14)));
    EXPECT_FALSE((VirtualRange { VirtualAddress(10), 5 }).contains(VirtualAddress(15)));
}

namespace {
struct Linked {
    ChainHook<Linked> hook;
};
} // namespace

TEST(ChainDeathTest, ALinkThatWasOverwrittenIsNotFollowed)
{
    Chain<Linked, &Linked::hook> chain;
    Linked first;
    Linked second;
    Linked other;
    chain.push_back(first);
    chain.push_back(second);
    second.hook.previous = &other;
    EXPECT_DEATH(chain.remove(second), "");
    second.hook.previous = &first;
    chain.remove(second);
    EXPECT_DEATH(chain.remove(second), ""); // not in it any more
}
