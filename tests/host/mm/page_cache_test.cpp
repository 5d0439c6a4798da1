#include <gtest/gtest.h>

#include "arch/host/machine.h"
#include "mm/page_cache.h"

#include <algorithm>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

using namespace eremite;

namespace {

/// A file kept elsewhere; fails when told to.
class TestSource final : public PageSource {
public:
    Result<> read_pages(u64 first, std::span<const std::span<u8, k_page_size>> pages) override
    {
        ++reads;
        if (fails)
            return Errno::EIO;
        for (usize i = 0; i < pages.size(); ++i) {
            for (usize k = 0; k < k_page_size; ++k) {
                u64 position = (first + i) * k_page_size + k;
                pages[i][k] = position < data.size() ? data[position] : 0;
            }
        }
        return {};
    }
    Result<> write_pages(u64 first, std::span<const std::span<u8, k_page_size>> pages, usize length) override
    {
        if (fails)
            return Errno::EIO;
        u64 start = first * k_page_size;
        EXPECT_LE(length, pages.size() * k_page_size);
        EXPECT_GT(length, (pages.size() - 1) * k_page_size);
        if (data.size() < start + length)
            data.resize(start + length);
        for (usize k = 0; k < length; ++k)
            data[start + k] = pages[k / k_page_size][k % k_page_size];
        return {};
    }

    std::vector<u8> data;
    unsigned reads { 0 };
    bool fails { false };
};

class ArchiveSource final : public PageSource {
public:
    Result<> read_pages(u64, std::span<const std::span<u8, k_page_size>>) override
    {
        ADD_FAILURE() << "the content lies in memory";
        return Errno::EIO;
    }
    Result<> write_pages(u64, std::span<const std::span<u8, k_page_size>>, usize) override { return {}; }
    std::span<const u8> contents() const override { return data; }

    std::vector<u8> data;
};

class PageCacheTest : public testing::Test {
protected:
    PageCacheTest()
    {
        host_machine();
        m_free_before = frame_statistics().free;
    }
    ~PageCacheTest() override { EXPECT_EQ(frame_statistics().free, m_free_before); }
    usize m_free_before { 0 };
};

std::vector<u8> pattern(usize length, u32 seed)
{
    std::mt19937 random(seed);
    std::vector<u8> bytes(length);
    std::ranges::generate(bytes, [&] { return static_cast<u8>(random()); });
    return bytes;
}

/// The same random calls on a cache and on a vector.
void compare_with_model(PageCache& cache, std::vector<u8> model, u32 seed, unsigned steps, TestSource* source)
{
    std::mt19937 random(seed);
    auto position
        = [&](u64 limit) { return random() % 3 == 0 ? random() % (limit / 4096 + 1) * 4096 : random() % limit; };
    for (unsigned step = 0; step < steps; ++step) {
        u64 offset = position(200'000);
        usize length = random() % 20'000;
        switch (random() % 10) {
        case 0:
        case 1:
        case 2: {
            auto bytes = pattern(length, random());
            ASSERT_EQ(cache.write(offset, IoBuffer(std::span(bytes))).value(), length);
            if (length != 0 && model.size() < offset + length)
                model.resize(offset + length);
            std::ranges::copy(bytes, model.begin() + static_cast<isize>(length != 0 ? offset : 0));
            break;
        }
        case 3: {
            u64 size = position(250'000);
            ASSERT_TRUE(cache.resize(size).has_value());
            model.resize(size);
            if (source && source->data.size() > size)
                source->data.resize(size); // as the file system does
            break;
        }
        case 4: {
            ASSERT_TRUE(cache.punch_hole(offset, length).has_value());
            for (u64 i = offset; i < std::min<u64>(offset + length, model.size()); ++i)
                model[i] = 0;
            if (source) {
                for (u64 i = offset; i < std::min<u64>(offset + length, source->data.size()); ++i)
                    source->data[i] = 0;
            }
            break;
        }
        case 5:
            if (source) {
                ASSERT_TRUE(cache.write_back_all().has_value());
                EXPECT_EQ(cache.dirty_count(), 0u);
            }
            break;
        case 6:
            cache.drop_clean(offset / 4096, random() % 30);
            break;
        default: {
            std::vector<u8> bytes(length, 0xee);
            usize expected = offset < model.size() ? std::min<usize>(length, model.size() - offset) : 0;
            ASSERT_EQ(cache.read(offset, IoBuffer(std::span(bytes))).value(), expected);
            for (usize i = 0; i < expected; ++i)
                ASSERT_EQ(bytes[i], model[offset + i]) << "at " << offset + i << " step " << step;
            break;
        }
        }
        ASSERT_EQ(cache.size(), model.size());
    }
    if (source) {
        ASSERT_TRUE(cache.write_back_all().has_value());
        source->data.resize(model.size());
        EXPECT_EQ(source->data, model);
    }
}

} // namespace

TEST_F(PageCacheTest, IsAllTheStorageThatAMemoryFileHas)
{
    PageCache cache;
    compare_with_model(cache, {}, 5, 3000, nullptr);
}

TEST_F(PageCacheTest, CachesASource)
{
    TestSource source;
    source.data = pattern(100'000, 7);
    PageCache cache(&source, source.data.size());
    compare_with_model(cache, source.data, 6, 3000, &source);
}

TEST_F(PageCacheTest, ReadsAnArchiveWithoutCopyingIt)
{
    ArchiveSource source;
    source.data = pattern(10'000, 8);
    PageCache cache(&source, source.data.size());
    std::vector<u8> bytes(10'000);
    EXPECT_EQ(cache.read(0, IoBuffer(std::span(bytes))).value(), 10'000u);
    EXPECT_EQ(bytes, source.data);
    EXPECT_EQ(cache.page_count(), 0u);
    // A write copies the page it changes, and no other.
    std::vector<u8> word { 1, 2, 3 };
    EXPECT_EQ(cache.write(5000, IoBuffer(std::span(word))).value(), 3u);
    EXPECT_EQ(cache.page_count(), 1u);
    EXPECT_EQ(cache.read(0, IoBuffer(std::span(bytes))).value(), 10'000u);
    auto expected = source.data;
    std::ranges::copy(word, expected.begin() + 5000);
    EXPECT_EQ(bytes, expected);
}

TEST_F(PageCacheTest, ReadsAheadWhenReadsFollowOneAnother)
{
    TestSource source;
    source.data = pattern(256 * k_page_size, 9);
    PageCache cache(&source, source.data.size());
    std::vector<u8> bytes(k_page_size);
    for (u64 page = 0; page < 256; ++page)
        EXPECT_EQ(cache.read(page * k_page_size, IoBuffer(std::span(bytes))).value(), k_page_size);
    EXPECT_LT(source.reads, 20u);
    // Far apart, each reads what it needs.
    EXPECT_EQ(cache.drop_clean(0, ~u64 { 0 }), 256u);
    unsigned before = source.reads;
    EXPECT_EQ(cache.read(100 * k_page_size, IoBuffer(std::span(bytes))).value(), k_page_size);
    EXPECT_EQ(source.reads, before + 1);
    EXPECT_EQ(cache.page_count(), 1u);
}

TEST_F(PageCacheTest, PassesErrorsOnAndKeepsDirtyPages)
{
    TestSource source;
    source.data = pattern(k_page_size * 2, 10);
    PageCache cache(&source, source.data.size());
    std::vector<u8> bytes(100);
    source.fails = true;
    EXPECT_EQ(cache.read(0, IoBuffer(std::span(bytes))).error(), Errno::EIO);
    EXPECT_EQ(cache.page_count(), 0u);
    source.fails = false;
    EXPECT_EQ(cache.write(0, IoBuffer(std::span(bytes))).value(), 100u);
    source.fails = true;
    EXPECT_EQ(cache.write_back_all().error(), Errno::EIO);
    EXPECT_EQ(cache.dirty_count(), 1u);
    source.fails = false;
    EXPECT_TRUE(cache.write_back_all().has_value());
    EXPECT_EQ(source.data[99], 0);
}

TEST_F(PageCacheTest, KeepsToItsQuota)
{
    PageCache::Quota quota;
    quota.limit = 3;
    {
        PageCache cache(nullptr, 0, &quota);
        auto bytes = pattern(5 * k_page_size, 11);
        EXPECT_EQ(cache.write(0, IoBuffer(std::span(bytes))).value(), 3 * k_page_size);
        EXPECT_EQ(cache.write(3 * k_page_size, IoBuffer(std::span(bytes))).error(), Errno::ENOSPC);
        EXPECT_EQ(quota.used, 3u);
        EXPECT_TRUE(cache.resize(k_page_size).has_value());
        EXPECT_EQ(quota.used, 1u);
    }
    EXPECT_EQ(quota.used, 0u);
}

TEST_F(PageCacheTest, FindsDataAndHoles)
{
    PageCache cache;
    std::vector<u8> byte { 1 };
    EXPECT_EQ(cache.next_data(0).error(), Errno::ENXIO);
    ASSERT_TRUE(cache.resize(10 * k_page_size + 5).has_value());
    EXPECT_EQ(cache.next_data(0).error(), Errno::ENXIO);
    EXPECT_EQ(cache.next_hole(7).value(), 7u);
    ASSERT_TRUE(cache.write(3 * k_page_size, IoBuffer(std::span(byte))).has_value());
    ASSERT_TRUE(cache.write(10 * k_page_size, IoBuffer(std::span(byte))).has_value());
    EXPECT_EQ(cache.next_data(5).value(), 3 * k_page_size);
    EXPECT_EQ(cache.next_hole(3 * k_page_size + 1).value(), 4 * k_page_size);
    EXPECT_EQ(cache.next_data(4 * k_page_size).value(), 10 * k_page_size);
    EXPECT_EQ(cache.next_hole(10 * k_page_size).value(), 10 * k_page_size + 5);
    EXPECT_EQ(cache.next_hole(10 * k_page_size + 5).error(), Errno::ENXIO);
}

TEST_F(PageCacheTest, GivesCleanPagesBackWhenMemoryIsShort)
{
    TestSource source;
    source.data.resize(64 * k_page_size);
    PageCache cache(&source, source.data.size());
    std::vector<u8> bytes(64 * k_page_size, 1);
    ASSERT_EQ(cache.read(0, IoBuffer(std::span(bytes))).value(), bytes.size());
    ASSERT_EQ(cache.write(0, IoBuffer(std::span(bytes).first(k_page_size))).value(), k_page_size);
    EXPECT_EQ(cache.page_count(), 64u);
    EXPECT_EQ(reclaim_page_cache(10), 10u);
    EXPECT_EQ(reclaim_page_cache(1000), 53u); // all but the dirty one
    EXPECT_EQ(cache.page_count(), 1u);
}

TEST_F(PageCacheTest, ThreadsMayTruncateWhileOthersRead)
{
    TestSource source;
    source.data.resize(200 * k_page_size, 42);
    PageCache cache(&source, source.data.size());
    std::atomic<bool> stop { false };
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < 3; ++t) {
        threads.emplace_back([&, t] {
            std::mt19937 random(t);
            std::vector<u8> bytes(10'000);
            while (!stop) {
                u64 offset = random() % (200 * k_page_size);
                usize length = cache.read(offset, IoBuffer(std::span(bytes))).value();
                for (usize i = 0; i < length; ++i)
                    ASSERT_TRUE(bytes[i] == 42 || bytes[i] == 0);
            }
        });
    }
    std::mt19937 random(99);
    for (unsigned i = 0; i < 300; ++i) {
        ASSERT_TRUE(cache.resize(random() % (200 * k_page_size)).has_value());
        ASSERT_TRUE(cache.resize(200 * k_page_size).has_value());
        cache.drop_clean(random() % 200, 50);
    }
    stop = true;
    for (auto& thread : threads)
        thread.join();
}
