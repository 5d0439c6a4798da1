#include "mm/page_cache.h"

#include "mm/address_space.h"
#include "mm/frame_loan.h"

#include <algorithm>

namespace eremite {

namespace {

constexpr u64 k_largest_size = INT64_MAX;

/// What can be read again must not take the last frames: the kernel needs some to write back what is dirty.
void keep_reserve()
{
    const FrameStatistics frames = frame_statistics();
    if (frames.free < std::clamp<usize>(frames.total / 32, 64, 2048))
        reclaim_page_cache(64);
}

} // namespace

/// A frame, counted against the quota. ENOSPC, ENOMEM.
Result<PhysicalAddress> PageCache::allocate_page()
{
    if (m_quota
        && m_quota->used.fetch_add(1, std::memory_order_relaxed) >= m_quota->limit.load(std::memory_order_relaxed)) {
        m_quota->used.fetch_sub(1, std::memory_order_relaxed);
        return Errno::ENOSPC;
    }
    if (m_source)
        keep_reserve();
    auto frame = allocate_frames_reclaiming(0);
    if (frame.is_error() && m_quota)
        m_quota->used.fetch_sub(1, std::memory_order_relaxed);
    return frame;
}

void PageCache::free_page(PhysicalAddress frame)
{
    if (m_quota)
        m_quota->used.fetch_sub(1, std::memory_order_relaxed);
    if (!FrameLoan::defer_free(frame)) [[likely]]
        free_frames(frame, 0);
}

PageCache::Pinned PageCache::pin(u64 index)
{
    Locked lock(m_lock);
    u64* entry = m_pages.find(index);
    if (!entry || (*entry & k_loading) != 0)
        return {};
    *entry = (*entry + k_pin) | k_referenced;
    return { entry, frame_of(*entry) };
}

/// `flags`: k_dirty if the page was changed.
void PageCache::unpin(Pinned page, u64 flags)
{
    bool last;
    {
        Locked lock(m_lock);
        ASSERT(*page.entry >= k_pin);
        if (flags != 0)
            set_dirty(*page.entry);
        *page.entry -= k_pin;
        last = *page.entry < k_pin;
    }
    if (last && !m_changed.is_empty())
        m_changed.wake_all();
}

/// Waits until nobody copies to or from the page, which may be gone then.
void PageCache::wait_for_pins(u64 index)
{
    auto is_idle = [&]() NO_THREAD_SAFETY_ANALYSIS {
        u64* entry = m_pages.find(index);
        return !entry || (*entry < k_pin && (*entry & k_loading) == 0);
    };
    static_cast<void>(m_changed.wait_until(m_lock, is_idle, Nanoseconds::max(), Interruptible::No).is_error());
}

void PageCache::set_dirty(u64& entry)
{
    if ((entry & k_dirty) == 0)
        m_dirty_count.fetch_add(1, std::memory_order_relaxed);
    entry |= k_dirty;
}

/// Takes an unpinned page out; the frame is the caller's.
void PageCache::forget(u64 index, u64 entry)
{
    if ((entry & k_dirty) != 0)
        m_dirty_count.fetch_sub(1, std::memory_order_relaxed);
    m_page_count.fetch_sub(1, std::memory_order_relaxed);
    m_pages.erase(index);
}

/// Makes `frame` page `index`, pinned; or, if another thread was first, frees it and pins theirs: look at what is
/// returned. EAGAIN: theirs is still being read.
Result<PageCache::Pinned> PageCache::insert_pinned(u64 index, PhysicalAddress frame, u64 flags)
{
    Result<Pinned> theirs = Errno::ENOMEM;
    {
        Locked lock(m_lock);
        auto entry = m_pages.ensure(index);
        if (entry.has_value()) {
            u64& word = *entry.value();
            if (word == 0) {
                word = frame.value() | k_present | k_pin | (flags & ~k_dirty);
                m_page_count.fetch_add(1, std::memory_order_relaxed);
                if ((flags & k_dirty) != 0)
                    set_dirty(word);
                return Pinned { &word, frame };
            }
            if ((word & k_loading) == 0) {
                word += k_pin;
                theirs = Pinned { &word, frame_of(word) };
            } else {
                theirs = Errno::EAGAIN;
            }
        }
    }
    free_page(frame);
    return theirs;
}

/// Reads pages [first, first + count) from the source, those that are there already excepted. At least page `first` is
/// there afterwards, if nothing took it away again. EIO, ENOMEM, ...: of page `first`.
Result<> PageCache::load(u64 first, u64 count)
{
    std::array<PhysicalAddress, k_largest_run> frames;
    count = std::min(count, k_largest_run);
    u64 wanted = 0;
    for (; wanted < count; ++wanted) {
        auto frame = allocate_page();
        if (frame.is_error()) {
            if (wanted == 0)
                return frame.error();
            break;
        }
        frames[wanted] = frame.value();
    }
    // A run of absent pages from `first` on becomes ours to fill.
    u64 taken = 0;
    Errno failure {};
    {
        Locked lock(m_lock);
        for (; taken < wanted; ++taken) {
            auto entry = m_pages.ensure(first + taken);
            if (entry.is_error()) {
                failure = entry.error();
                break;
            }
            if (*entry.value() != 0)
                break;
            *entry.value() = frames[taken].value() | k_present | k_loading | k_pin;
            m_page_count.fetch_add(1, std::memory_order_relaxed);
        }
    }
    for (u64 i = taken; i < wanted; ++i)
        free_page(frames[i]);
    if (taken == 0)
        return failure == Errno {} ? Result<>() : failure;

    Result<> result;
    {
        using Page = std::span<u8, k_page_size>;
        std::array<std::byte, k_largest_run * sizeof(Page)> storage;
        // A span of fixed size has no default value to fill an array with.
        auto* pages = reinterpret_cast<Page*>(storage.data());
        std::span<Page> list(pages, taken);
        for (u64 i = 0; i < taken; ++i)
            std::construct_at(&list[i], bytes_of(frames[i]));
        result = m_source->read_pages(first, list);
    }
    {
        Locked lock(m_lock);
        for (u64 i = 0; i < taken; ++i) {
            u64* entry = m_pages.find(first + i);
            ASSERT(entry && (*entry & k_loading) != 0);
            *entry = (*entry - k_pin) & ~k_loading;
            if (result.is_error())
                forget(first + i, *entry);
        }
    }
    if (result.is_error()) {
        for (u64 i = 0; i < taken; ++i)
            free_page(frames[i]);
    }
    m_changed.wake_all();
    return result;
}

/// Page `index`, pinned; made or read if it isn't there.
Result<PageCache::Pinned> PageCache::pin_or_make(u64 index)
{
    while (true) {
        {
            Locked lock(m_lock);
            u64* entry = m_pages.find(index);
            if (entry && (*entry & k_loading) != 0) {
                wait_for_pins(index);
                continue;
            }
            if (entry) {
                *entry = (*entry + k_pin) | k_referenced;
                return Pinned { entry, frame_of(*entry) };
            }
        }
        if (m_source && m_source->contents().empty()) {
            u64 pages = (size() + k_page_size - 1) >> k_page_shift;
            TRY(load(index, index < pages ? std::min(readahead_for(index, 1), pages - index) : 1));
            continue;
        }
        auto frame = TRY(allocate_page());
        auto bytes = bytes_of(frame);
        usize filled = 0;
        if (m_source) {
            auto contents = m_source->contents();
            u64 start = index << k_page_shift;
            if (start < contents.size()) {
                auto part = contents.subspan(start, std::min<u64>(contents.size() - start, k_page_size));
                std::ranges::copy(part, bytes.begin());
                filled = part.size();
            }
        }
        std::ranges::fill(bytes.subspan(filled), u8 { 0 });
        auto inserted = insert_pinned(index, frame, m_source ? 0 : k_dirty);
        if (inserted.has_value() || inserted.error() != Errno::EAGAIN)
            return inserted;
    }
}

/// How many pages to read from `index` on when `wanted` are asked for: more if reads follow one another.
u64 PageCache::readahead_for(u64 index, u64 wanted)
{
    Locked lock(m_lock);
    if (index == m_next_read || index == 0)
        m_window = std::min<u32>(m_window == 0 ? 4 : m_window * 2, k_largest_run);
    else
        m_window = 0;
    u64 count = std::min<u64>(std::max<u64>(wanted, m_window), k_largest_run);
    m_next_read = index + count;
    return count;
}

/// Copies from a page that isn't there, without making one, if that can be. 0: it must be made.
Result<usize> PageCache::read_absent(u64 index, usize offset, IoBuffer part)
{
    if (!m_source) {
        TRY(part.clear());
        return part.size();
    }
    auto contents = m_source->contents();
    if (contents.empty())
        return usize { 0 };
    u64 start = (index << k_page_shift) + offset;
    usize there = start < contents.size() ? std::min<usize>(part.size(), contents.size() - start) : 0;
    if (there != 0)
        TRY(part.write(contents.subspan(start, there)));
    if (there < part.size())
        TRY(part.subspan(there).clear());
    return part.size();
}

Result<usize> PageCache::read(u64 offset, IoBuffer buffer)
{
    const u64 end = size();
    if (offset >= end)
        return usize { 0 };
    if (buffer.size() > end - offset)
        buffer = buffer.first(static_cast<usize>(end - offset));
    // Most reads lie in one page, and it is there.
    const auto in_page = static_cast<usize>(offset & (k_page_size - 1));
    if (buffer.size() <= k_page_size - in_page) {
        if (const Pinned page = pin(offset >> k_page_shift); page.entry) [[likely]] {
            const Result<> result = buffer.write(bytes_of(page.frame).subspan(in_page, buffer.size()));
            unpin(page);
            if (result.is_error())
                return result.error();
            return buffer.size();
        }
    }
    return read_pages(offset, buffer);
}

/// read() of whatever lies before the end of the file.
Result<usize> PageCache::read_pages(u64 offset, IoBuffer buffer)
{
    const usize length = buffer.size();
    usize done = 0;
    while (done < length) {
        const u64 position = offset + done;
        const u64 index = position >> k_page_shift;
        const auto in_page = static_cast<usize>(position & (k_page_size - 1));
        IoBuffer part = buffer.subspan(done).first(std::min(length - done, k_page_size - in_page));
        Pinned page = pin(index);
        Result<> result;
        if (!page.entry && is_resident(index)) {
            // Somebody reads it just now, or has made it since.
            auto pinned = pin_or_make(index);
            if (pinned.has_value())
                page = pinned.value();
            else
                result = pinned.error();
        } else if (!page.entry) {
            auto copied = read_absent(index, in_page, part);
            if (copied.is_error()) {
                result = copied.error();
            } else if (copied.value() != 0) {
                done += part.size();
                continue;
            } else {
                const u64 wanted = ((length - done) + in_page + k_page_size - 1) >> k_page_shift;
                const u64 pages = (size() + k_page_size - 1) >> k_page_shift;
                result = load(index, std::min(readahead_for(index, wanted), index < pages ? pages - index : 1));
                if (result.has_value())
                    continue;
            }
        }
        if (page.entry) {
            result = part.write(bytes_of(page.frame).subspan(in_page, part.size()));
            unpin(page);
        }
        if (result.is_error())
            return done != 0 ? Result<usize>(done) : result.error();
        done += part.size();
    }
    return done;
}

/// Copies `part` to the page from `offset` on, and marks it dirty.
Result<> PageCache::write_page(u64 index, usize offset, IoBuffer part)
{
    Pinned page = pin(index);
    if (!page.entry) {
        // Nothing of the page's old content is left, or there is none: no need to read or to clear it first.
        const bool replaces = part.size() == k_page_size || !m_source || (index << k_page_shift) >= size();
        if (replaces && !is_resident(index)) {
            auto frame = TRY(allocate_page());
            auto bytes = bytes_of(frame);
            std::ranges::fill(bytes.first(offset), u8 { 0 });
            std::ranges::fill(bytes.subspan(offset + part.size()), u8 { 0 });
            if (auto copied = part.read(bytes.subspan(offset, part.size())); copied.is_error()) {
                free_page(frame);
                return copied;
            }
            auto inserted = insert_pinned(index, frame, k_dirty);
            if (inserted.is_error() && inserted.error() != Errno::EAGAIN)
                return inserted.error();
            if (inserted.has_value()) {
                unpin(inserted.value());
                if (inserted.value().frame == frame)
                    return {};
            }
            // Somebody made the page meanwhile: into theirs, then.
        }
        page = TRY(pin_or_make(index));
    }
    auto copied = part.read(bytes_of(page.frame).subspan(offset, part.size()));
    unpin(page, k_dirty);
    return copied;
}

Result<usize> PageCache::write(u64 offset, IoBuffer buffer)
{
    if (offset > k_largest_size - std::min<u64>(buffer.size(), k_largest_size))
        return Errno::EFBIG;
    if (u64 old = size(); offset > old && is_mapped())
        clear_tail(old);
    usize done = 0;
    while (done < buffer.size()) {
        u64 position = offset + done;
        usize in_page = static_cast<usize>(position & (k_page_size - 1));
        IoBuffer part = buffer.subspan(done).first(std::min(buffer.size() - done, k_page_size - in_page));
        if (auto result = write_page(position >> k_page_shift, in_page, part); result.is_error())
            return done != 0 ? Result<usize>(done) : result.error();
        done += part.size();
        u64 end = position + part.size();
        u64 old = m_size.load(std::memory_order_relaxed);
        while (old < end && !m_size.compare_exchange_weak(old, end, std::memory_order_release)) { }
    }
    return done;
}

/// Zeroes what a mapping may have written behind the end of the file, in its last page.
void PageCache::clear_tail(u64 size)
{
    usize used = static_cast<usize>(size & (k_page_size - 1));
    if (used == 0)
        return;
    Locked lock(m_lock);
    u64* entry = m_pages.find(size >> k_page_shift);
    if (entry && (*entry & k_loading) == 0)
        std::ranges::fill(bytes_of(frame_of(*entry)).subspan(used), u8 { 0 });
}

/// Frees pages [first, end), waiting for those in use. Nothing of them is mapped.
void PageCache::drop_range(u64 first, u64 end)
{
    std::array<PhysicalAddress, 64> frames;
    usize count = frames.size();
    while (count == frames.size()) {
        count = 0;
        {
            Locked lock(m_lock);
            u64 index = first;
            while (count < frames.size()) {
                u64* entry = m_pages.next(index);
                if (!entry || index >= end)
                    break;
                if (*entry >= k_pin || (*entry & k_loading) != 0) {
                    wait_for_pins(index);
                    continue; // the lock was released: look again
                }
                frames[count++] = frame_of(*entry);
                forget(index, *entry);
            }
        }
        for (PhysicalAddress frame : std::span(frames).first(count))
            free_page(frame);
    }
}

Result<> PageCache::resize(u64 size)
{
    if (size > k_largest_size)
        return Errno::EFBIG;
    u64 old = m_size.exchange(size, std::memory_order_acq_rel);
    if (size >= old) {
        if (is_mapped())
            clear_tail(old);
        return {};
    }
    u64 first = (size + k_page_size - 1) >> k_page_shift;
    if (is_mapped())
        address_space().unmap_object(*this, first, ~u64 { 0 }, true);
    drop_range(first, ~u64 { 0 });
    clear_tail(size);
    return {};
}

Result<> PageCache::punch_hole(u64 offset, u64 length)
{
    u64 end;
    if (__builtin_add_overflow(offset, length, &end))
        return Errno::EFBIG;
    end = std::min(end, align_up(size(), k_page_size));
    if (offset >= end)
        return {};
    u64 first = (offset + k_page_size - 1) >> k_page_shift;
    u64 last = end >> k_page_shift;
    if (first < last) {
        if (is_mapped())
            address_space().unmap_object(*this, first, last - first, false);
        drop_range(first, last);
    }
    // The parts of pages at either end; those that aren't there are zero already, or will be read as the source has
    // them.
    auto clear_part = [&](u64 from, u64 to) {
        if (from >= to)
            return;
        Locked lock(m_lock);
        u64 index = from >> k_page_shift;
        wait_for_pins(index);
        u64* entry = m_pages.find(index);
        if (!entry)
            return;
        std::ranges::fill(bytes_of(frame_of(*entry)).subspan(from & (k_page_size - 1), to - from), u8 { 0 });
        set_dirty(*entry);
    };
    clear_part(offset, std::min(first << k_page_shift, end));
    if (last >= first)
        clear_part(std::max(last << k_page_shift, offset), end);
    return {};
}

Result<> PageCache::allocate(u64 offset, u64 length)
{
    if (m_source)
        return {};
    u64 end;
    if (__builtin_add_overflow(offset, length, &end) || end > k_largest_size)
        return Errno::EFBIG;
    for (u64 index = offset >> k_page_shift; index < (end + k_page_size - 1) >> k_page_shift; ++index) {
        unpin(TRY(pin_or_make(index)));
    }
    return {};
}

Result<u64> PageCache::next_data(u64 offset)
{
    Locked lock(m_lock);
    u64 end = size();
    u64 index = offset >> k_page_shift;
    if (offset >= end || !m_pages.next(index))
        return Errno::ENXIO;
    u64 found = std::max(offset, index << k_page_shift);
    return found < end ? Result<u64>(found) : Errno::ENXIO;
}

Result<u64> PageCache::next_hole(u64 offset)
{
    Locked lock(m_lock);
    u64 end = size();
    if (offset >= end)
        return Errno::ENXIO;
    u64 index = m_pages.next_absent(offset >> k_page_shift);
    return std::min(std::max(offset, index << k_page_shift), end);
}

Result<PhysicalAddress> PageCache::page_for_mapping(u64 index, bool writable)
{
    if (index >= (size() + k_page_size - 1) >> k_page_shift)
        return Errno::ENXIO;
    const Pinned page = TRY(pin_or_make(index));
    unpin(page, writable ? k_dirty : 0);
    return page.frame;
}

bool PageCache::is_resident(u64 index)
{
    Locked lock(m_lock);
    return m_pages.find(index) != nullptr;
}

void PageCache::read_ahead(u64 first, u64 count)
{
    if (!m_source || !m_source->contents().empty())
        return;
    u64 pages = (size() + k_page_size - 1) >> k_page_shift;
    u64 end = count > ~u64 { 0 } - first ? pages : std::min(first + count, pages);
    // As far as it likes: no more than a moment's work, and never what would drive out other pages.
    end = std::min(end, first + 8 * k_largest_run);
    for (u64 index = first; index < end;) {
        {
            Locked lock(m_lock);
            index = m_pages.next_absent(index);
        }
        FrameStatistics frames = frame_statistics();
        if (index >= end || frames.free < frames.total / 8
            || load(index, std::min(end - index, k_largest_run)).is_error())
            return;
    }
}

} // namespace eremite
