// PageCache: the pages of one file, owned by its inode. It is all the storage that a ramfs file has, and the cache of a
// virtio-fs or disk file; read(), write() and every mapping of the file see the same frames.
#pragma once

#include "mm/frames.h"
#include "mm/memory_object.h"
#include "mm/page_tree.h"
#include "sched/wait_queue.h"
#include "syscall/user_pointer.h"
#include <span>

namespace eremite {

/// Where the pages of a file come from and go to. Implemented by file systems that keep their data elsewhere; methods
/// are called with no lock of the cache held, may sleep, and may be called by several threads for different pages.
class PageSource {
public:
    /// Fills pages first, first + 1, ... (each element is one page of memory); what lies past the end of the data is
    /// zeroed. EIO and whatever the device says; then none of the pages is used.
    virtual Result<> read_pages(u64 first, std::span<const std::span<u8, k_page_size>> pages) = 0;
    /// Writes `length` bytes of consecutive pages, from the start of page `first`. The end of the file is in it
    /// already: `length` may end inside the last page.
    virtual Result<> write_pages(u64 first, std::span<const std::span<u8, k_page_size>> pages, usize length) = 0;
    /// The whole file's first content, if it lies in memory anyway (an archive): read() then copies from here what has
    /// no page yet, and makes no page. Empty: there is no such thing.
    virtual std::span<const u8> contents() const { return {}; }

protected:
    ~PageSource() = default;
};

/// Sleeps under its own lock only for memory; never holds it while it reads, writes or touches application memory.
/// Pages in use by a copy are pinned by a count, and truncation waits for them.
class PageCache final : public MemoryObject {
public:
    /// How much all caches without a source may hold: pages are accounted here (a file system's size limit). May be
    /// null.
    struct Quota {
        std::atomic<u64> limit { ~u64 { 0 } }; // in pages
        std::atomic<u64> used { 0 };
    };

    /// `source` null: pages that were never written read as zero and are kept nowhere else (ramfs).
    explicit PageCache(PageSource* source = nullptr, u64 size = 0, Quota* quota = nullptr);
    /// Drops all pages. Nothing is mapped any more; dirty pages of a source are lost unless write_back() was called.
    ~PageCache();

    /// Size of the file in bytes.
    u64 size() const { return m_size.load(std::memory_order_acquire); }
    /// Sets it. What lies past the end is freed, unmapped everywhere, and reads as zero when the file grows again.
    /// Waits for pinned pages. The source is not told: call it before or after, as the file system must. EFBIG.
    Result<> resize(u64 size);
    /// Sets the size that the source reports now, keeping pages (another host process wrote to the file): pages past
    /// the new end go as in resize().
    Result<> set_size_from_source(u64 size) { return resize(size); }

    /// Copies from `offset` on, up to the end of the file; returns how many bytes, 0 at or past the end. A partial copy
    /// counts as success. EFAULT, EIO, ENOMEM.
    Result<usize> read(u64 offset, IoBuffer buffer);
    /// Copies to the pages, which become dirty, and makes the file longer if need be. May be short if memory, quota or
    /// the buffer's mapping ends early. ENOSPC (quota), ENOMEM, EFAULT, EIO, EFBIG.
    Result<usize> write(u64 offset, IoBuffer buffer);
    /// Frees whole pages in the range and zeroes the parts at its ends (FALLOC_FL_PUNCH_HOLE); size unchanged.
    Result<> punch_hole(u64 offset, u64 length);
    /// Gives every page in the range a frame (fallocate); size unchanged. ENOSPC, ENOMEM.
    Result<> allocate(u64 offset, u64 length);

    /// Next offset at or after `offset` with a page, or without one (SEEK_DATA, SEEK_HOLE); without a source only.
    /// The end of the file is a hole. ENXIO: `offset` is at or past the end, or no data follows.
    Result<u64> next_data(u64 offset);
    Result<u64> next_hole(u64 offset);

    /// Writes dirty pages to the source and waits; success without one. The first error is returned, the page stays
    /// dirty.
    Result<> write_back_all() { return write_back(0, ~u64 { 0 }, true); }
    /// Drops pages that are clean, unpinned and not mapped, in the range (a source that changed behind our back, or
    /// memory is short). Nothing without a source. Returns how many.
    u64 drop_clean(u64 first, u64 count);

    u64 page_count() const { return m_page_count.load(std::memory_order_relaxed); }
    u64 dirty_count() const { return m_dirty_count.load(std::memory_order_relaxed); }

    Result<PhysicalAddress> page_for_mapping(u64 index, bool writable) override;
    bool is_resident(u64 index) override;
    Result<> write_back(u64 first, u64 count, bool wait) override;
    void read_ahead(u64 first, u64 count) override;

private:
    // An entry of m_pages: the frame's address, and in the bits that an address leaves free:
    static constexpr u64 k_present = 1;
    static constexpr u64 k_dirty = 2; // not yet where the source keeps it; always with no source
    static constexpr u64 k_loading = 4; // being filled: nobody may look at it yet
    static constexpr u64 k_referenced = 8; // used since reclaim looked last
    static constexpr u64 k_pin = u64 { 1 } << 52; // count of copies in progress
    static constexpr u64 k_frame_mask = (u64 { 1 } << 52) - k_page_size;

    static constexpr u64 k_largest_run = 32; // pages that go to or come from a source at once

    static PhysicalAddress frame_of(u64 entry) { return PhysicalAddress(entry & k_frame_mask); }
    static std::span<u8, k_page_size> bytes_of(PhysicalAddress frame)
    {
        return std::span<u8, k_page_size>(static_cast<u8*>(direct_map(frame)), k_page_size);
    }

    /// A page that stays, and stays where it is, until unpin(): its entry in the tree does, too.
    struct Pinned {
        u64* entry { nullptr };
        PhysicalAddress frame;
    };

    Result<PhysicalAddress> allocate_page();
    void free_page(PhysicalAddress frame);
    /// Null if the page isn't there, or not yet.
    Pinned pin(u64 index);
    Pinned find_pinned(u64 index);
    void unpin(Pinned page, u64 flags = 0);
    void wait_for_pins(u64 index) REQUIRES(m_lock);
    void set_dirty(u64& entry) REQUIRES(m_lock);
    void forget(u64 index, u64 entry) REQUIRES(m_lock);
    Result<Pinned> insert_pinned(u64 index, PhysicalAddress frame, u64 flags);
    Result<> load(u64 first, u64 count);
    Result<Pinned> pin_or_make(u64 index);
    Result<usize> read_pages(u64 offset, IoBuffer buffer);
    Result<usize> read_absent(u64 index, usize offset, IoBuffer part);
    Result<> write_page(u64 index, usize offset, IoBuffer part);
    Result<> write_run(u64 first, u64 count);
    void drop_range(u64 first, u64 end);
    void clear_tail(u64 size);
    u64 readahead_for(u64 index, u64 wanted);

    friend usize reclaim_page_cache(usize wanted);
    ListHook m_hook;

    PageSource* m_source;
    Quota* m_quota;
    SpinLock m_lock;
    PageTree m_pages GUARDED_BY(m_lock);
    WaitQueue m_changed; // a page was loaded, or lost its last pin
    u64 m_next_read GUARDED_BY(m_lock) { 0 };
    u32 m_window GUARDED_BY(m_lock) { 0 };
    std::atomic<u64> m_size { 0 };
    std::atomic<u64> m_page_count { 0 };
    std::atomic<u64> m_dirty_count { 0 };

public:
    using CacheList = List<PageCache, &PageCache::m_hook>;
};

/// Drops about `wanted` clean pages that caches could read again; returns how many. No cache's lock held.
usize reclaim_page_cache(usize wanted);

} // namespace eremite
