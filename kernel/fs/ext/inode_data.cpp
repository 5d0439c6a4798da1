// The data of a file: between its pages and its blocks.
#include "base/log.h"
#include "fs/ext/ext.h"

#include <algorithm>

namespace eremite::ext {

namespace {

/// Dirty pages that a file may have before whoever writes writes them back: a sixteenth of the memory.
u64 most_dirty()
{
    return std::max<u64>(frame_statistics().total / 16, 256);
}

} // namespace

/// The part of `extent` that `pages` (of which the first begins at block `first_block`) cover, to or from the disk.
Result<> ExtInode::transfer(const Extent& extent, u64 first_block, std::span<const std::span<u8, k_page_size>> pages,
    bool is_write) NO_THREAD_SAFETY_ANALYSIS
{
    const usize block_size = ext().block_size();
    const u64 per_page = k_page_size / block_size;
    std::array<std::span<u8>, BlockDevice::k_max_parts> parts;
    u64 done = 0;
    while (done < extent.count) {
        usize count = 0;
        const u64 start = done;
        while (done < extent.count && count < parts.size()) {
            const u64 block = extent.logical - first_block + done;
            const u64 run = std::min(per_page - block % per_page, extent.count - done);
            parts[count++] = pages[block / per_page].subspan(block % per_page * block_size, run * block_size);
            done += run;
        }
        const auto list = std::span(parts).first(count);
        if (is_write)
            TRY(ext().cache().write_data(extent.physical + start, list));
        else
            TRY(ext().cache().read_data(extent.physical + start, list));
    }
    return {};
}

Result<> ExtInode::read_pages(u64 first, std::span<const std::span<u8, k_page_size>> pages)
{
    const usize block_size = ext().block_size();
    const u64 per_page = k_page_size / block_size;
    const u64 first_block = first * per_page;
    const u64 end = first_block + pages.size() * per_page;
    Locked lock(ext().lock());
    for (u64 block = first_block; block < end;) {
        const Extent extent = TRY(ext().library().map(disk_number(), block, end - block));
        if (extent.kind == Extent::Kind::Written) {
            TRY(transfer(extent, first_block, pages, false));
        } else {
            for (u64 i = block - first_block; i < block - first_block + extent.count; ++i)
                std::ranges::fill(pages[i / per_page].subspan(i % per_page * block_size, block_size), u8 { 0 });
        }
        block += extent.count;
    }
    // Nothing is behind the end of the file, whatever a block has there.
    const u64 size = m_pages.size();
    for (usize i = 0; i < pages.size(); ++i) {
        const u64 start = (first + i) * k_page_size;
        if (size < start + k_page_size)
            std::ranges::fill(pages[i].subspan(size > start ? size - start : 0), u8 { 0 });
    }
    return {};
}

Result<> ExtInode::write_pages(u64 first, std::span<const std::span<u8, k_page_size>> pages, usize length)
{
    const usize block_size = ext().block_size();
    const u64 per_page = k_page_size / block_size;
    const u64 first_block = first * per_page;
    const u64 end = first_block + (length + block_size - 1) / block_size;
    if (const usize tail = length % block_size; tail != 0)
        std::ranges::fill(pages[length / k_page_size].subspan(length % k_page_size, block_size - tail), u8 { 0 });
    {
        Locked lock(ext().lock());
        TRY(ext().begin());
        Library& library = ext().library();
        for (u64 block = first_block; block < end;) {
            Extent extent = TRY(library.map(disk_number(), block, end - block));
            const bool was_hole = extent.kind == Extent::Kind::Hole;
            if (was_hole) {
                TRY(library.allocate(disk_number(), block, extent.count, true));
                extent = TRY(library.map(disk_number(), block, extent.count));
                if (extent.kind != Extent::Kind::Written)
                    return ext().give_up(Errno::EIO);
            }
            if (auto written = transfer(extent, first_block, pages, true); written.is_error()) {
                // What a block had before must not be seen in this file.
                if (was_hole)
                    TRY(library.punch(disk_number(), extent.logical, extent.logical + extent.count - 1));
                return written;
            }
            if (extent.kind == Extent::Kind::Unwritten)
                TRY(library.mark_written(disk_number(), extent));
            block += extent.count;
        }
        // Blocks never lie behind the end of the file on the disk either.
        const u64 written_end = first * k_page_size + length;
        m_on_disk.sectors = TRY(library.read_inode(disk_number())).sectors;
        if (m_on_disk.size < written_end) {
            m_on_disk.size = written_end;
            TRY(library.write_inode(disk_number(), m_on_disk));
        }
        Locked attributes_lock(m_attributes_lock);
        m_attributes.blocks = m_on_disk.sectors;
    }
    ext().pages_written(pages.size());
    return {};
}

Result<PageCache*> ExtInode::page_cache()
{
    return is_regular() ? Result<PageCache*>(&m_pages) : Errno::ENODEV;
}

Result<usize> ExtInode::read(u64, u64 offset, IoBuffer buffer)
{
    return m_pages.read(offset, buffer);
}

/// When the disk is all but full: how much of `length` bytes at `offset` has a place, or gets one now. ENOSPC.
Result<usize> ExtInode::place_now(u64 offset, usize length)
{
    const u64 per_page = k_page_size / ext().block_size();
    const u64 first = offset / k_page_size;
    const u64 last = (offset + length - 1) / k_page_size;
    for (u64 page = first; page <= last; ++page) {
        Locked lock(ext().lock());
        TRY(ext().begin());
        Library& library = ext().library();
        Result<> placed;
        for (u64 block = page * per_page; block < (page + 1) * per_page && !placed.is_error();) {
            const Extent extent = TRY(library.map(disk_number(), block, (page + 1) * per_page - block));
            if (extent.kind == Extent::Kind::Hole) {
                placed = ext().require_metadata_room();
                if (!placed.is_error())
                    placed = library.allocate_cleared(disk_number(), block, extent.count);
            }
            block += extent.count;
        }
        if (placed.is_error())
            return page == first ? Result<usize>(placed.error()) : Result<usize>(page * k_page_size - offset);
    }
    return length;
}

Result<usize> ExtInode::write(u64, u64 offset, IoBuffer buffer)
{
    constexpr u64 k_most_blocks = 0xffff'fffe;
    if (const u64 limit = k_most_blocks * ext().block_size(); offset >= limit)
        return Errno::EFBIG;
    else if (buffer.size() > limit - offset)
        buffer = buffer.first(limit - offset);
    if (ext().is_read_only())
        return Errno::EROFS;
    const u64 pages = (offset % k_page_size + buffer.size() + k_page_size - 1) / k_page_size;
    if (auto reserved = ext().reserve(pages); reserved.is_error()) {
        if (reserved.error() != Errno::ENOSPC)
            return reserved.error();
        buffer = buffer.first(TRY(place_now(offset, buffer.size())));
    }
    const usize count = TRY(m_pages.write(offset, buffer));
    if (m_pages.dirty_count() > most_dirty())
        TRY(m_pages.write_back_all());
    return count;
}

Result<> ExtInode::truncate(u64, u64 length)
{
    if (ext().is_read_only())
        return Errno::EROFS;
    if (length > u64 { 0xffff'fffe } * ext().block_size())
        return Errno::EFBIG;
    const u64 old = m_pages.size();
    if (length < old && length % k_page_size != 0) {
        // What is cut off reads as zeroes should the file grow again: on the disk too.
        std::array<u8, 256> zeroes {};
        const u64 end = std::min(old, align_up(length, k_page_size));
        for (u64 at = length; at < end;)
            at += TRY(m_pages.write(at, std::span(zeroes).first(std::min<u64>(zeroes.size(), end - at))));
    }
    TRY(m_pages.resize(length));
    Locked lock(ext().lock());
    TRY(ext().begin());
    Library& library = ext().library();
    m_on_disk.size = length;
    if (auto cut = library.write_inode(disk_number(), m_on_disk); cut.is_error())
        return ext().give_up(cut.error());
    if (length < old) {
        const u64 first = (length + ext().block_size() - 1) / ext().block_size();
        if (auto punched = library.punch(disk_number(), first, ~u64 { 0 }); punched.is_error())
            return ext().give_up(punched.error());
        m_on_disk.sectors = TRY(library.read_inode(disk_number())).sectors;
        Locked attributes_lock(m_attributes_lock);
        m_attributes.blocks = m_on_disk.sectors;
    }
    return {};
}

Result<> ExtInode::allocate(u64, int mode, u64 offset, u64 length)
{
    u64 end;
    if (__builtin_add_overflow(offset, length, &end) || end > u64 { 0xffff'fffe } * ext().block_size())
        return Errno::EFBIG;
    const bool punches = (mode & (abi::k_falloc_punch_hole | abi::k_falloc_zero_range)) != 0;
    const u64 per_page = k_page_size / ext().block_size();
    if (punches) {
        TRY(write_back());
        TRY(m_pages.punch_hole(
            offset, std::min(end, m_pages.size()) > offset ? std::min(end, m_pages.size()) - offset : 0));
    }
    Locked lock(ext().lock());
    TRY(ext().begin());
    Library& library = ext().library();
    if (punches) {
        // Whole pages; of others the parts were cleared, as pages.
        const u64 first = (offset + k_page_size - 1) / k_page_size;
        const u64 last = end / k_page_size;
        if (first < last)
            TRY(library.punch(disk_number(), first * per_page, last * per_page - 1));
    }
    if ((mode & abi::k_falloc_punch_hole) == 0) {
        const u64 first = offset / ext().block_size();
        const u64 count = (end + ext().block_size() - 1) / ext().block_size() - first;
        if (count + 64 > library.statistics().free_blocks && library.pending_blocks() != 0)
            TRY(ext().commit());
        if (count + 64 > library.statistics().free_blocks)
            return Errno::ENOSPC;
        TRY(library.allocate(disk_number(), first, count, false));
    }
    m_on_disk.sectors = TRY(library.read_inode(disk_number())).sectors;
    {
        Locked attributes_lock(m_attributes_lock);
        m_attributes.blocks = m_on_disk.sectors;
    }
    if ((mode & abi::k_falloc_keep_size) != 0 || end <= m_pages.size())
        return {};
    m_on_disk.size = end;
    TRY(library.write_inode(disk_number(), m_on_disk));
    return m_pages.resize(end);
}

Result<> ExtInode::sync(u64, bool data_only)
{
    TRY(write_back());
    Locked lock(ext().lock());
    if (ext().is_read_only())
        return ext().is_healthy();
    const bool is_same
        = m_on_disk.size == size() && ext().cache().dirty_count() == 0 && ext().library().pending_blocks() == 0;
    if (data_only && is_same)
        return ext().cache().device().flush();
    TRY(flush_attributes());
    return ext().commit();
}

Result<u64> ExtInode::seek_data(u64, u64 offset, bool hole)
{
    TRY(write_back());
    const u64 size = m_pages.size();
    const u32 block_size = ext().block_size();
    Locked lock(ext().lock());
    for (u64 at = offset; at < size;) {
        const u64 block = at / block_size;
        const Extent extent
            = TRY(ext().library().map(disk_number(), block, (size + block_size - 1) / block_size - block));
        if ((extent.kind == Extent::Kind::Written) != hole)
            return at;
        at = (block + extent.count) * block_size;
    }
    return hole ? Result<u64>(size) : Errno::ENXIO;
}

} // namespace eremite::ext
