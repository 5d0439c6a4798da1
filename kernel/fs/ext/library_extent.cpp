// Where the blocks of files are, and the blocks of directories.
#include "fs/ext/library_headers.h"

#include "base/log.h"
#include "sched/clock.h"

#include <algorithm>

namespace eremite::ext {

namespace {

/// The extents of one file.
class ExtentHandle {
public:
    ~ExtentHandle()
    {
        if (m_handle)
            ext2fs_extent_free(m_handle);
    }
    errcode_t open(ext2_filsys fs, u32 number) { return ext2fs_extent_open2(fs, number, nullptr, &m_handle); }
    /// Changes go to `inode`, too.
    errcode_t open(ext2_filsys fs, u32 number, ext2_inode& inode)
    {
        return ext2fs_extent_open2(fs, number, &inode, &m_handle);
    }
    ext2_extent_handle_t get() const { return m_handle; }

private:
    ext2_extent_handle_t m_handle { nullptr };
};

} // namespace

Result<Extent> Library::map(u32 number, u64 logical, u64 count)
{
    ext2_inode inode;
    TRY(check(ext2fs_read_inode(m_fs, number, &inode), "an inode"));
    Extent result { .logical = logical, .count = count };
    if ((inode.i_flags & EXT4_EXTENTS_FL) == 0) {
        u64 found = 0;
        for (u64 i = 0; i < count; ++i) {
            blk64_t place = 0;
            TRY(check(ext2fs_bmap2(m_fs, number, &inode, nullptr, 0, logical + i, nullptr, &place), "a block map"));
            if (i == 0)
                result.physical = place;
            else if (result.physical == 0 ? place != 0 : place != result.physical + i)
                break;
            ++found;
        }
        result.count = found;
        result.kind = result.physical == 0 ? Extent::Kind::Hole : Extent::Kind::Written;
    } else {
        ExtentHandle handle;
        TRY(check(handle.open(m_fs, number), "an extent tree"));
        const errcode_t sought = ext2fs_extent_goto(handle.get(), logical);
        if (sought != 0 && sought != EXT2_ET_EXTENT_NOT_FOUND)
            TRY(check(sought, "an extent tree"));
        ext2fs_extent extent {};
        errcode_t got = ext2fs_extent_get(handle.get(), EXT2_EXTENT_CURRENT, &extent);
        if (sought == 0) {
            TRY(check(got, "an extent tree"));
            const u64 skipped = logical - extent.e_lblk;
            result.physical = extent.e_pblk + skipped;
            result.count = std::min<u64>(count, extent.e_len - skipped);
            result.kind
                = (extent.e_flags & EXT2_EXTENT_FLAGS_UNINIT) != 0 ? Extent::Kind::Unwritten : Extent::Kind::Written;
        } else {
            // A hole, up to the next extent.
            while (got == 0 && extent.e_lblk <= logical)
                got = ext2fs_extent_get(handle.get(), EXT2_EXTENT_NEXT_LEAF, &extent);
            if (got == 0)
                result.count = std::min<u64>(count, extent.e_lblk - logical);
        }
    }
    if (result.kind != Extent::Kind::Hole
        && (result.physical < m_fs->super->s_first_data_block || result.count == 0
            || result.physical + result.count > ext2fs_blocks_count(m_fs->super))) {
        log_error("ext: file {} has blocks outside of the file system", number);
        return Errno::EIO;
    }
    return result;
}

/// Gives the blocks the places after those of the block before them, in its extent, if they are free. False: something
/// is in the way, and nothing has changed.
Result<bool> Library::extend(u32 number, u64 logical, u64 count)
{
    ext2_inode_large inode {};
    TRY(check(ext2fs_read_inode_full(m_fs, number, small(inode), sizeof(inode)), "an inode"));
    if ((inode.i_flags & EXT4_EXTENTS_FL) == 0)
        return false;
    ExtentHandle handle;
    TRY(check(handle.open(m_fs, number, *small(inode)), "an extent tree"));
    ext2fs_extent extent {};
    if (ext2fs_extent_goto(handle.get(), logical - 1) != 0
        || ext2fs_extent_get(handle.get(), EXT2_EXTENT_CURRENT, &extent) != 0
        || (extent.e_flags & EXT2_EXTENT_FLAGS_UNINIT) != 0 || extent.e_lblk + extent.e_len != logical
        || extent.e_len + count > EXT_INIT_MAX_LEN)
        return false;
    blk64_t first = 0;
    blk64_t length = 0;
    if (ext2fs_new_range(m_fs, EXT2_NEWRANGE_FIXED_GOAL | EXT2_NEWRANGE_MIN_LENGTH, extent.e_pblk + extent.e_len, count,
            nullptr, &first, &length)
            != 0
        || first != extent.e_pblk + extent.e_len || length < count)
        return false;
    ext2fs_block_alloc_stats_range(m_fs, first, static_cast<blk_t>(count), 1);
    TRY(check(ext2fs_iblk_add_blocks(m_fs, small(inode), count), "an inode"));
    extent.e_len += static_cast<u32>(count);
    TRY(check(ext2fs_extent_replace(handle.get(), 0, &extent), "an extent tree"));
    TRY(check(ext2fs_write_inode_full(m_fs, number, small(inode), sizeof(inode)), "an inode"));
    return true;
}

Result<> Library::allocate(u32 number, u64 logical, u64 count, bool written)
{
    if (!written) {
        ext2_inode inode;
        TRY(check(ext2fs_read_inode(m_fs, number, &inode), "an inode"));
        if ((inode.i_flags & EXT4_EXTENTS_FL) == 0)
            return Errno::EOPNOTSUPP;
    }
    // The library begins a new extent for each range that is to be written; a file that grows by pieces would have
    // many.
    if (written && logical != 0 && TRY(extend(number, logical, count)))
        return {};
    const int flags
        = EXT2_FALLOCATE_INIT_BEYOND_EOF | (written ? EXT2_FALLOCATE_FORCE_INIT : EXT2_FALLOCATE_FORCE_UNINIT);
    return check(ext2fs_fallocate(m_fs, flags, number, nullptr, ~blk64_t { 0 }, logical, count), "a block map");
}

Result<> Library::allocate_cleared(u32 number, u64 logical, u64 count)
{
    auto placed = allocate(number, logical, count, false);
    // Block by block, the library clears what it hands out.
    return placed.is_error() && placed.error() == Errno::EOPNOTSUPP ? allocate(number, logical, count, true) : placed;
}

Result<> Library::mark_written(u32 number, const Extent& extent)
{
    ExtentHandle handle;
    TRY(check(handle.open(m_fs, number), "an extent tree"));
    for (u64 i = 0; i < extent.count; ++i)
        TRY(check(ext2fs_extent_set_bmap(handle.get(), extent.logical + i, extent.physical + i, 0), "an extent tree"));
    return {};
}

Result<> Library::punch(u32 number, u64 first, u64 last)
{
    return check(ext2fs_punch(m_fs, number, nullptr, nullptr, first, last), "a file's blocks");
}

Result<> Library::read_directory_block(u32 number, u64 physical, std::span<u8> block)
{
    return check(ext2fs_read_dir_block4(m_fs, physical, block.data(), 0, number), "a directory");
}

Result<> Library::write_directory_block(u32 number, u64 physical, std::span<u8> block)
{
    return check(ext2fs_write_dir_block4(m_fs, physical, block.data(), 0, number), "a directory");
}

Result<bool> Library::drop_hash_tree(u32 number)
{
    ext2_inode inode;
    TRY(check(ext2fs_read_inode(m_fs, number, &inode), "an inode"));
    if ((inode.i_flags & EXT2_INDEX_FL) == 0)
        return false;
    inode.i_flags &= ~static_cast<u32>(EXT2_INDEX_FL);
    TRY(check(ext2fs_write_inode(m_fs, number, &inode), "an inode"));
    return true;
}

} // namespace eremite::ext
