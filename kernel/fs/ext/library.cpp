#include "fs/ext/library_headers.h"

#include "abi/fs.h"
#include "base/bytes.h"
#include "base/log.h"
#include "sched/clock.h"

#include <algorithm>

namespace eremite::ext {

namespace {

constexpr u32 k_known_incompatible = EXT2_FEATURE_INCOMPAT_FILETYPE | EXT3_FEATURE_INCOMPAT_RECOVER
    | EXT2_FEATURE_INCOMPAT_META_BG | EXT3_FEATURE_INCOMPAT_EXTENTS | EXT4_FEATURE_INCOMPAT_64BIT
    | EXT4_FEATURE_INCOMPAT_FLEX_BG | EXT4_FEATURE_INCOMPAT_CSUM_SEED;
constexpr u32 k_known_read_only = EXT2_FEATURE_RO_COMPAT_SPARSE_SUPER | EXT2_FEATURE_RO_COMPAT_LARGE_FILE
    | EXT4_FEATURE_RO_COMPAT_HUGE_FILE | EXT4_FEATURE_RO_COMPAT_GDT_CSUM | EXT4_FEATURE_RO_COMPAT_DIR_NLINK
    | EXT4_FEATURE_RO_COMPAT_EXTRA_ISIZE | EXT4_FEATURE_RO_COMPAT_METADATA_CSUM;

} // namespace

Result<> Library::check(long code, const char* what)
{
    switch (code) {
    case 0:
        return {};
    case EXT2_ET_BLOCK_ALLOC_FAIL:
    case EXT2_ET_INODE_ALLOC_FAIL:
    case EXT2_ET_EA_NO_SPACE:
        return Errno::ENOSPC;
    case EXT2_ET_NO_MEMORY:
        return Errno::ENOMEM;
    case EXT2_ET_FILE_TOO_BIG:
        return Errno::EFBIG;
    case EXT2_ET_EA_KEY_NOT_FOUND:
        return Errno::ENODATA;
    case EXT2_ET_MISSING_EA_FEATURE:
        return Errno::EOPNOTSUPP;
    default:
        break;
    }
    if (code > 0 && code < 134)
        return static_cast<Errno>(code);
    log_error("ext: {}: the file system is damaged (libext2fs's error {})", what, code - EXT2_ET_BASE);
    return Errno::EIO;
}

Result<> Library::check_features(bool may_write)
{
    const ext2_super_block& super = *m_fs->super;
    if (const u32 unknown = super.s_feature_incompat & ~k_known_incompatible; unknown != 0) {
        log_error("ext: the file system uses features that are not supported (incompatible {:x})", unknown);
        return Errno::EINVAL;
    }
    if (const u32 unknown = super.s_feature_ro_compat & ~k_known_read_only; may_write && unknown != 0) {
        log_error("ext: the file system uses features that allow reading only (read-only compatible {:x})", unknown);
        return Errno::EROFS;
    }
    if (super.s_inode_size > 4096 || m_fs->blocksize > k_page_size) {
        log_error("ext: blocks of {} bytes are not supported", m_fs->blocksize);
        return Errno::EINVAL;
    }
    return {};
}

Result<OwnPtr<Library>> Library::open(BlockCache& cache, bool may_write)
{
    OwnPtr<Library> library = TRY(make<Library>(cache));
    const int flags = EXT2_FLAG_64BITS | (may_write ? EXT2_FLAG_RW : 0);
    TRY(library->check(ext2fs_open("disk", flags, 0, 0, channel_to(cache), &library->m_fs), "the superblock"));
    library->m_fs->priv_data = library.get();
    library->m_fs->default_bitmap_type = EXT2FS_BMAP64_RBTREE;
    TRY(library->check_features(may_write));
    if (u64 sectors = cache.device().sector_count() * BlockDevice::k_sector_size;
        ext2fs_blocks_count(library->m_fs->super) > sectors / library->m_fs->blocksize) {
        log_error("ext: the file system has {} blocks of {} bytes, the disk is smaller",
            ext2fs_blocks_count(library->m_fs->super), library->m_fs->blocksize);
        return Errno::EINVAL;
    }
    if (ext2fs_has_feature_journal_needs_recovery(library->m_fs->super)) {
        if (!may_write) {
            log_error("ext: the journal must be replayed, and the disk can't be written");
            return Errno::EROFS;
        }
        log_info("ext: replaying the journal");
        TRY(library->check(ext2fs_run_ext3_journal(&library->m_fs), "the journal"));
        library->m_fs->priv_data = library.get();
        library->m_fs->default_bitmap_type = EXT2FS_BMAP64_RBTREE;
    }
    TRY(library->check(ext2fs_read_bitmaps(library->m_fs), "the bitmaps"));
    TRY(library->m_changed_groups.try_resize(library->m_fs->group_desc_count));
    return library;
}

Library::~Library()
{
    if (!m_fs)
        return;
    m_fs->flags &= ~(EXT2_FLAG_DIRTY | EXT2_FLAG_BB_DIRTY | EXT2_FLAG_IB_DIRTY);
    ext2fs_free(m_fs);
}

u32 Library::block_size() const
{
    return m_fs->blocksize;
}

bool Library::is_writable() const
{
    return (m_fs->flags & EXT2_FLAG_RW) != 0;
}

bool Library::has_checksums() const
{
    return ext2fs_has_feature_metadata_csum(m_fs->super);
}

bool Library::has_file_types() const
{
    return ext2fs_has_feature_filetype(m_fs->super);
}

bool Library::has_large_numbers() const
{
    return ext2fs_has_feature_64bit(m_fs->super);
}

u64 Library::super_block() const
{
    return 1024 / m_fs->blocksize;
}

Statistics Library::statistics() const
{
    return { .blocks = ext2fs_blocks_count(m_fs->super),
        .free_blocks = ext2fs_free_blocks_count(m_fs->super),
        .inodes = m_fs->super->s_inodes_count,
        .free_inodes = m_fs->super->s_free_inodes_count };
}

Result<Vector<Journal::Piece>> Library::journal_pieces()
{
    Vector<Journal::Piece> pieces;
    if (!ext2fs_has_feature_journal(m_fs->super))
        return pieces;
    const u32 number = m_fs->super->s_journal_inum;
    if (number == 0) {
        log_error("ext: a journal on a device of its own is not supported");
        return Errno::EINVAL;
    }
    const u64 count = TRY(read_inode(number)).size / m_fs->blocksize;
    for (u64 at = 0; at < count;) {
        const Extent extent = TRY(map(number, at, count - at));
        if (extent.kind == Extent::Kind::Hole || extent.count == 0)
            return Errno::EIO;
        TRY(pieces.try_append({ extent.physical, extent.count }));
        at += extent.count;
    }
    return pieces;
}

void Library::set_mounted(bool mounted)
{
    ext2_super_block& super = *m_fs->super;
    if (ext2fs_has_feature_journal(m_fs->super)) {
        if (mounted)
            ext2fs_set_feature_journal_needs_recovery(m_fs->super);
        else
            ext2fs_clear_feature_journal_needs_recovery(m_fs->super);
    } else if (mounted) {
        super.s_state &= static_cast<u16>(~EXT2_VALID_FS);
    } else if ((super.s_state & EXT2_ERROR_FS) == 0) {
        super.s_state |= EXT2_VALID_FS;
    }
    if (mounted) {
        ++super.s_mnt_count;
        super.s_mtime = static_cast<u32>(realtime_now().value() / 1'000'000'000);
    }
    ext2fs_mark_super_dirty(m_fs);
}

void Library::set_damaged()
{
    m_fs->super->s_state |= EXT2_ERROR_FS;
    m_fs->super->s_state &= static_cast<u16>(~EXT2_VALID_FS);
    ext2fs_mark_super_dirty(m_fs);
}

void Library::group_changed(u32 group, bool blocks)
{
    if (group < m_changed_groups.size())
        m_changed_groups[group] |= blocks ? 1 : 2;
}

void Library::block_freed(u64 block)
{
    ++m_pending_count;
    if (!m_pending.is_empty() && m_pending.last().first + m_pending.last().count == block) {
        ++m_pending.last().count;
        return;
    }
    // What can't be noted stays in use until e2fsck finds it: lost, but not used twice.
    if (m_pending.try_append({ block, 1 }).is_error())
        m_lost_track = true;
}

Vector<Library::Range> Library::release_freed()
{
    for (const Range& range : m_pending) {
        m_cache.forget(range.first, range.count);
        for (u64 block = range.first; block < range.first + range.count;) {
            const u32 group = ext2fs_group_of_blk2(m_fs, block);
            const auto count = static_cast<u32>(
                std::min<u64>(ext2fs_group_last_block2(m_fs, group) + 1, range.first + range.count) - block);
            ext2fs_unmark_block_bitmap_range2(m_fs->block_map, block, count);
            ext2fs_bg_free_blocks_count_set(m_fs, group, ext2fs_bg_free_blocks_count(m_fs, group) + count);
            ext2fs_bg_flags_clear(m_fs, group, EXT2_BG_BLOCK_UNINIT);
            group_changed(group, true);
            block += count;
        }
        ext2fs_free_blocks_count_add(m_fs->super, static_cast<i64>(range.count));
        ext2fs_mark_super_dirty(m_fs);
    }
    m_pending_count = 0;
    if (m_lost_track) {
        m_lost_track = false;
        set_damaged();
    }
    return std::exchange(m_pending, {});
}

Result<> Library::write_bitmap(u32 group, bool blocks)
{
    Bytes bits = TRY(Bytes::create(m_fs->blocksize));
    std::ranges::fill(bits.span(), u8 { 0xff });
    const u32 per_group = blocks ? m_fs->super->s_clusters_per_group : m_fs->super->s_inodes_per_group;
    const int bytes = static_cast<int>((per_group + 7) / 8);
    if (blocks) {
        const u64 first = m_fs->super->s_first_data_block + u64 { group } * per_group;
        const u64 count = std::min<u64>(per_group, ext2fs_blocks_count(m_fs->super) - first);
        TRY(check(ext2fs_get_block_bitmap_range2(m_fs->block_map, first, count, bits.span().data()), "a bitmap"));
        // What lies beyond the disk's end counts as in use.
        for (u64 bit = count; bit < u64 { m_fs->blocksize } * 8; ++bit)
            bits.span()[bit / 8] |= static_cast<u8>(1 << bit % 8);
        TRY(check(
            ext2fs_block_bitmap_csum_set(m_fs, group, reinterpret_cast<char*>(bits.span().data()), bytes), "a bitmap"));
    } else {
        TRY(check(ext2fs_get_inode_bitmap_range2(
                      m_fs->inode_map, u64 { group } * per_group + 1, per_group, bits.span().data()),
            "a bitmap"));
        TRY(check(
            ext2fs_inode_bitmap_csum_set(m_fs, group, reinterpret_cast<char*>(bits.span().data()), bytes), "a bitmap"));
    }
    ext2fs_group_desc_csum_set(m_fs, group);
    const u64 place = blocks ? ext2fs_block_bitmap_loc(m_fs, group) : ext2fs_inode_bitmap_loc(m_fs, group);
    if (place == 0 || place >= ext2fs_blocks_count(m_fs->super))
        return Errno::EIO;
    return m_cache.write(place * m_fs->blocksize, bits.span());
}

Result<> Library::flush()
{
    for (u32 group = 0; group < m_changed_groups.size(); ++group) {
        if ((m_changed_groups[group] & 1) != 0 && !ext2fs_bg_flags_test(m_fs, group, EXT2_BG_BLOCK_UNINIT))
            TRY(write_bitmap(group, true));
        if ((m_changed_groups[group] & 2) != 0 && !ext2fs_bg_flags_test(m_fs, group, EXT2_BG_INODE_UNINIT))
            TRY(write_bitmap(group, false));
        if (m_changed_groups[group] != 0)
            ext2fs_group_desc_csum_set(m_fs, group);
        m_changed_groups[group] = 0;
    }
    m_fs->flags &= ~(EXT2_FLAG_BB_DIRTY | EXT2_FLAG_IB_DIRTY);
    if ((m_fs->flags & EXT2_FLAG_DIRTY) == 0)
        return {};
    return check(ext2fs_flush2(m_fs, EXT2_FLAG_FLUSH_NO_SYNC), "the superblock");
}

} // namespace eremite::ext

// The library's bookkeeping of what is in use, which is ours (its alloc_stats.c is not linked): blocks that are freed
// stay taken until the transaction that frees them is on its way, so that nothing is written over what a crash would
// bring back; and only the bitmaps of groups that changed are written.
extern "C" {

void ext2fs_inode_alloc_stats2(ext2_filsys fs, ext2_ino_t number, int in_use, int is_directory)
{
    if (number == 0 || number > fs->super->s_inodes_count)
        return;
    const eremite::u32 per_group = fs->super->s_inodes_per_group;
    const eremite::u32 group = (number - 1) / per_group;
    if (in_use > 0)
        ext2fs_mark_inode_bitmap2(fs->inode_map, number);
    else
        ext2fs_unmark_inode_bitmap2(fs->inode_map, number);
    const auto by = static_cast<eremite::u32>(in_use);
    ext2fs_bg_free_inodes_count_set(fs, group, ext2fs_bg_free_inodes_count(fs, group) - by);
    if (is_directory)
        ext2fs_bg_used_dirs_count_set(fs, group, ext2fs_bg_used_dirs_count(fs, group) + by);
    ext2fs_bg_flags_clear(fs, group, EXT2_BG_INODE_UNINIT);
    if (ext2fs_has_group_desc_csum(fs)) {
        const eremite::u32 in_group = (number - 1) % per_group;
        if (in_group >= per_group - ext2fs_bg_itable_unused(fs, group))
            ext2fs_bg_itable_unused_set(fs, group, per_group - in_group - 1);
    }
    fs->super->s_free_inodes_count -= by;
    ext2fs_mark_super_dirty(fs);
    static_cast<eremite::ext::Library*>(fs->priv_data)->group_changed(group, false);
}

void ext2fs_block_alloc_stats_range(ext2_filsys fs, blk64_t block, blk_t count, int in_use)
{
    auto& library = *static_cast<eremite::ext::Library*>(fs->priv_data);
    const blk64_t end = block + count;
    if (block < fs->super->s_first_data_block || end < block || end > ext2fs_blocks_count(fs->super))
        return;
    for (blk64_t at = block; in_use < 0 && at < end; ++at)
        library.block_freed(at);
    for (blk64_t at = block; in_use >= 0 && at < end;) {
        const eremite::u32 group = ext2fs_group_of_blk2(fs, at);
        const auto here
            = static_cast<eremite::u32>(std::min<eremite::u64>(ext2fs_group_last_block2(fs, group) + 1, end) - at);
        ext2fs_mark_block_bitmap_range2(fs->block_map, at, here);
        ext2fs_bg_free_blocks_count_set(fs, group, ext2fs_bg_free_blocks_count(fs, group) - here);
        ext2fs_bg_flags_clear(fs, group, EXT2_BG_BLOCK_UNINIT);
        ext2fs_free_blocks_count_add(fs->super, -static_cast<eremite::i64>(here));
        library.group_changed(group, true);
        at += here;
    }
    ext2fs_mark_super_dirty(fs);
}

void ext2fs_block_alloc_stats2(ext2_filsys fs, blk64_t block, int in_use)
{
    ext2fs_block_alloc_stats_range(fs, block, 1, in_use);
}

void ext2fs_block_alloc_stats(ext2_filsys fs, blk_t block, int in_use)
{
    ext2fs_block_alloc_stats_range(fs, block, 1, in_use);
}
}