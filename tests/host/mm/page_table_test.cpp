#include <gtest/gtest.h>

#include "arch/host/machine.h"
#include "mm/page_table.h"
#include "mm/tlb.h"

#include <map>
#include <random>

using namespace eremite;
using Format = PageTable::Format;

namespace {

class PageTableTest : public testing::Test {
protected:
    PageTableTest()
    {
        host_machine();
        m_free_before = frame_statistics().free;
        m_table = PageTable(allocate_zeroed_frame().value());
    }
    ~PageTableTest() override
    {
        free_frames(m_table.root(), 0);
        EXPECT_EQ(frame_statistics().free, m_free_before);
    }
    void clear(VirtualRange range, VirtualRange gap)
    {
        TlbBatch batch;
        m_table.for_each(range, [](VirtualAddress, u64& entry, unsigned) { entry = 0; });
        m_table.free_tables(range, gap, batch);
    }

    usize m_free_before { 0 };
    PageTable m_table;
};

constexpr VirtualRange k_everything { VirtualAddress(), u64 { 1 } << 47 };

} // namespace

TEST_F(PageTableTest, MapsTranslatesAndUnmaps)
{
    VirtualAddress address(0x7000'1234'5000);
    PhysicalAddress frame(0x1234'5000);
    EXPECT_EQ(m_table.translate(address).error(), Errno::EFAULT);
    ASSERT_TRUE(m_table.map(address, frame, { .writable = true, .key = 5, .borrowed = true }).has_value());
    auto found = m_table.translate(address + 0x123).value();
    EXPECT_EQ(found.address, frame + 0x123);
    EXPECT_EQ(found.attributes, (arch::PageAttributes { .writable = true, .key = 5, .borrowed = true }));
    EXPECT_EQ(found.level, 0u);
    EXPECT_EQ(m_table.translate(address + k_page_size).error(), Errno::EFAULT);
    clear({ address, k_page_size }, k_everything);
    EXPECT_EQ(m_table.translate(address).error(), Errno::EFAULT);
}

TEST_F(PageTableTest, KeepsTablesThatANeighbourNeeds)
{
    VirtualAddress first(0x7000'1234'5000);
    VirtualAddress second = first + 4 * k_page_size;
    ASSERT_TRUE(m_table.map(first, PhysicalAddress(0x1000), {}).has_value());
    ASSERT_TRUE(m_table.map(second, PhysicalAddress(0x2000), {}).has_value());
    clear({ first, k_page_size }, { VirtualAddress(), second.value() });
    EXPECT_TRUE(m_table.translate(second).has_value());
    clear({ second, k_page_size }, k_everything);
}

TEST_F(PageTableTest, SplitsLargePages)
{
    VirtualAddress start(0x4000'0000);
    ASSERT_TRUE(
        m_table.map(start, PhysicalAddress(0x20'0000), { .writable = true, .executable = false }, 1).has_value());
    EXPECT_EQ(m_table.ensure(start + k_page_size, 0).error(), Errno::EEXIST);
    EXPECT_EQ(m_table.translate(start + 0x12345).value().address, PhysicalAddress(0x21'2345));
    EXPECT_EQ(m_table.translate(start + 0x12345).value().level, 1u);
    {
        TlbBatch batch;
        EXPECT_FALSE(m_table.split_at(start, batch).value());
        EXPECT_TRUE(m_table.split_at(start + 7 * k_page_size, batch).value());
    }
    for (u64 offset = 0; offset < k_large_page_size; offset += k_page_size) {
        auto found = m_table.translate(start + offset).value();
        EXPECT_EQ(found.address, PhysicalAddress(0x20'0000) + offset);
        EXPECT_EQ(found.level, 0u);
        EXPECT_TRUE(found.attributes.writable);
    }
    clear({ start, k_large_page_size }, k_everything);
}

TEST_F(PageTableTest, VisitsEachLeafOnce)
{
    std::map<u64, u64> model;
    std::mt19937_64 random(4);
    VirtualRange all { VirtualAddress(0x1000'0000'0000), u64 { 3 } << 30 };
    for (unsigned i = 0; i < 300; ++i) {
        u64 address = all.start.value() + align_down(random() % all.length, k_page_size);
        if (model.emplace(address, i * k_page_size).second) {
            ASSERT_TRUE(m_table.map(VirtualAddress(address), PhysicalAddress(i * k_page_size), {}).has_value());
        }
    }
    for (unsigned i = 0; i < 50; ++i) {
        u64 first = all.start.value() + align_down(random() % all.length, k_page_size);
        u64 last = first + align_down(random() % (all.end().value() - first), k_page_size);
        auto expected = model.lower_bound(first);
        m_table.for_each(
            { VirtualAddress(first), last - first }, [&](VirtualAddress address, u64& entry, unsigned level) {
                ASSERT_NE(expected, model.end());
                EXPECT_EQ(address.value(), expected->first);
                EXPECT_EQ(Format::address(entry, level).value(), expected->second);
                ++expected;
            });
        EXPECT_TRUE(expected == model.end() || expected->first >= last);
    }
    clear(all, k_everything);
}
