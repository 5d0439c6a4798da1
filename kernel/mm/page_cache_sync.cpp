// A page cache and what stands behind it: writing back, and giving memory back when it is short.
#include "base/late.h"
#include "mm/address_space.h"
#include "mm/page_cache.h"

#include <algorithm>

namespace eremite {

namespace {

constinit SpinLock s_caches_lock;
/// All caches with a source, from the one on that reclaim should look at next.
[[clang::no_destroy]] constinit Late<PageCache::CacheList> s_caches;

} // namespace

PageCache::PageCache(PageSource* source, u64 size, Quota* quota)
    : m_source(source)
    , m_quota(quota)
    , m_size(size)
{
    if (!m_source)
        return;
    Locked lock(s_caches_lock);
    if (!s_caches.is_constructed()) {
        s_caches.construct();
        set_frame_reclaimer(reclaim_page_cache);
    }
    s_caches->push_back(*this);
}

PageCache::~PageCache()
{
    ASSERT(!is_mapped());
    if (m_source) {
        Locked lock(s_caches_lock);
        s_caches->erase(s_caches->iterator_to(*this));
    }
    drop_range(0, ~u64 { 0 });
}

/// Writes pages [first, first + count), all dirty and pinned by the caller. Their dirty marks are gone already.
Result<> PageCache::write_run(u64 first, u64 count)
{
    using Page = std::span<u8, k_page_size>;
    std::array<std::byte, k_largest_run * sizeof(Page)> storage;
    std::span<Page> list(reinterpret_cast<Page*>(storage.data()), count);
    {
        Locked lock(m_lock);
        for (u64 i = 0; i < count; ++i)
            std::construct_at(&list[i], bytes_of(frame_of(*m_pages.find(first + i))));
    }
    u64 start = first << k_page_shift;
    u64 end = size();
    if (end <= start)
        return {};
    // The end is the file's, not the page's.
    return m_source->write_pages(first, list, static_cast<usize>(std::min<u64>(end - start, count << k_page_shift)));
}

/// A page that is pinned already.
PageCache::Pinned PageCache::find_pinned(u64 index)
{
    Locked lock(m_lock);
    u64* entry = m_pages.find(index);
    ASSERT(entry);
    return { entry, frame_of(*entry) };
}

Result<> PageCache::write_back(u64 first, u64 count, bool wait)
{
    if (!m_source || !wait)
        return {};
    u64 end = count > ~u64 { 0 } - first ? ~u64 { 0 } : first + count;
    u64 index = first;
    while (true) {
        u64 run = 0;
        {
            Locked lock(m_lock);
            u64* entry = m_pages.next(index);
            while (entry && index < end && (*entry & k_dirty) == 0) {
                ++index;
                entry = m_pages.next(index);
            }
            if (!entry || index >= end)
                return {};
            for (; run < k_largest_run && index + run < end; ++run) {
                u64* page = m_pages.find(index + run);
                if (!page || (*page & k_dirty) == 0)
                    break;
                // Dirty marks go first: who writes from now on sets them again.
                *page = (*page & ~k_dirty) + k_pin;
                m_dirty_count.fetch_sub(1, std::memory_order_relaxed);
            }
        }
        if (is_mapped())
            address_space().write_protect_object(*this, index, run);
        Result<> result = write_run(index, run);
        for (u64 i = 0; i < run; ++i) {
            unpin(find_pinned(index + i), result.is_error() ? k_dirty : 0);
        }
        if (result.is_error())
            return result;
        index += run;
    }
}

u64 PageCache::drop_clean(u64 first, u64 count)
{
    if (!m_source)
        return 0;
    u64 dropped = 0;
    std::array<PhysicalAddress, 64> frames;
    u64 end = count > ~u64 { 0 } - first ? ~u64 { 0 } : first + count;
    u64 index = first;
    usize found = frames.size();
    while (found == frames.size()) {
        found = 0;
        {
            Locked lock(m_lock);
            // A mapping counts before its first fault asks for a page, so none of these is mapped.
            while (!is_mapped() && found < frames.size()) {
                u64* entry = m_pages.next(index);
                if (!entry || index >= end)
                    break;
                if (*entry < k_pin && (*entry & (k_dirty | k_loading)) == 0) {
                    frames[found++] = frame_of(*entry);
                    forget(index, *entry);
                }
                ++index;
            }
        }
        for (PhysicalAddress frame : std::span(frames).first(found))
            free_page(frame);
        dropped += found;
    }
    return dropped;
}

usize reclaim_page_cache(usize wanted)
{
    usize dropped = 0;
    // Twice round: the first time clears the marks of pages in use.
    Locked lock(s_caches_lock);
    usize caches = static_cast<usize>(std::distance(s_caches->begin(), s_caches->end()));
    for (usize turn = 0; turn < 2 * caches && dropped < wanted; ++turn) {
        PageCache& cache = s_caches->front();
        s_caches->pop_front();
        s_caches->push_back(cache);
        std::array<PhysicalAddress, 64> frames;
        usize found = 0;
        if (!cache.m_lock.try_lock())
            continue;
        u64 index = 0;
        while (!cache.is_mapped() && found < std::min(frames.size(), wanted - dropped)) {
            u64* entry = cache.m_pages.next(index);
            if (!entry)
                break;
            u64 word = *entry;
            if (word < PageCache::k_pin && (word & (PageCache::k_dirty | PageCache::k_loading)) == 0) {
                if ((word & PageCache::k_referenced) != 0) {
                    *entry = word & ~PageCache::k_referenced;
                } else {
                    frames[found++] = PageCache::frame_of(word);
                    cache.forget(index, word);
                }
            }
            ++index;
        }
        cache.m_lock.unlock();
        for (PhysicalAddress frame : std::span(frames).first(found))
            cache.free_page(frame);
        dropped += found;
    }
    return dropped;
}

} // namespace eremite
