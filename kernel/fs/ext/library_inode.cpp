// Inodes.
#include "fs/ext/library_headers.h"

#include "abi/fs.h"
#include "base/bytes.h"
#include "base/log.h"
#include "sched/clock.h"

#include <algorithm>

namespace eremite::ext {

namespace {

/// Seconds and the rest of a time, as ext4 keeps them: 34 bits of seconds, counted from 1901.
struct SplitTime {
    u32 seconds;
    u32 extra;
};

SplitTime split(Nanoseconds time)
{
    i64 seconds = time.value() / 1'000'000'000;
    i64 rest = time.value() % 1'000'000'000;
    if (rest < 0) {
        rest += 1'000'000'000;
        --seconds;
    }
    const u64 epoch = static_cast<u64>((seconds - static_cast<i32>(seconds)) >> 32);
    return { static_cast<u32>(seconds), static_cast<u32>(static_cast<u64>(rest) << 2 | (epoch & 3)) };
}

Nanoseconds join(u32 seconds, u32 extra, bool has_extra)
{
    i64 whole = static_cast<i32>(seconds);
    if (!has_extra)
        return Nanoseconds::from_seconds(whole);
    whole += static_cast<i64>(extra & 3) << 32;
    return Nanoseconds::from_seconds(whole) + Nanoseconds(std::min<u32>(extra >> 2, 999'999'999));
}

u64 decode_device(u32 old_form, u32 new_form)
{
    if (old_form != 0)
        return (old_form & 0xff) | (old_form >> 8 & 0xff) << 8;
    return (new_form & 0xff) | (new_form >> 8 & 0xfff) << 8 | (new_form >> 20 & 0xfff) << 20;
}

} // namespace

Result<InodeData> Library::read_inode(u32 number)
{
    ext2_inode_large inode {};
    TRY(check(ext2fs_read_inode_full(m_fs, number, small(inode), sizeof(inode)), "an inode"));
    const bool has_extra = m_fs->super->s_inode_size > EXT2_GOOD_OLD_INODE_SIZE && inode.i_extra_isize >= 24;
    InodeData data;
    data.mode = inode.i_mode;
    data.uid = inode.i_uid | u32 { inode.osd2.linux2.l_i_uid_high } << 16;
    data.gid = inode.i_gid | u32 { inode.osd2.linux2.l_i_gid_high } << 16;
    data.link_count = inode.i_links_count;
    data.size = EXT2_I_SIZE(&inode);
    data.sectors = ext2fs_get_stat_i_blocks(m_fs, small(inode));
    data.access_time = join(inode.i_atime, inode.i_atime_extra, has_extra);
    data.modify_time = join(inode.i_mtime, inode.i_mtime_extra, has_extra);
    data.change_time = join(inode.i_ctime, inode.i_ctime_extra, has_extra);
    data.birth_time = has_extra ? join(inode.i_crtime, inode.i_crtime_extra, true) : data.change_time;
    const u32 type = data.mode & abi::k_s_ifmt;
    if (type == abi::k_s_ifchr || type == abi::k_s_ifblk)
        data.special_device = decode_device(std::span(inode.i_block)[0], std::span(inode.i_block)[1]);
    if (data.size > INT64_MAX)
        return Errno::EIO;
    return data;
}

namespace {

/// Puts what we know into the disk's form; the rest stays as it is.
void fill(ext2_inode_large& inode, const InodeData& data, bool is_large)
{
    inode.i_mode = static_cast<u16>(data.mode);
    inode.i_uid = static_cast<u16>(data.uid);
    inode.osd2.linux2.l_i_uid_high = static_cast<u16>(data.uid >> 16);
    inode.i_gid = static_cast<u16>(data.gid);
    inode.osd2.linux2.l_i_gid_high = static_cast<u16>(data.gid >> 16);
    inode.i_links_count = static_cast<u16>(data.link_count);
    inode.i_size = static_cast<u32>(data.size);
    inode.i_size_high = static_cast<u32>(data.size >> 32);
    const SplitTime access = split(data.access_time);
    const SplitTime modify = split(data.modify_time);
    const SplitTime change = split(data.change_time);
    inode.i_atime = access.seconds;
    inode.i_mtime = modify.seconds;
    inode.i_ctime = change.seconds;
    if (!is_large)
        return;
    const SplitTime birth = split(data.birth_time);
    inode.i_atime_extra = access.extra;
    inode.i_mtime_extra = modify.extra;
    inode.i_ctime_extra = change.extra;
    inode.i_crtime = birth.seconds;
    inode.i_crtime_extra = birth.extra;
}

} // namespace

Result<> Library::write_inode(u32 number, const InodeData& data)
{
    ext2_inode_large inode {};
    TRY(check(ext2fs_read_inode_full(m_fs, number, small(inode), sizeof(inode)), "an inode"));
    if (data.size >= 1_GiB * 2 && !ext2fs_has_feature_large_file(m_fs->super)) {
        ext2fs_set_feature_large_file(m_fs->super);
        ext2fs_mark_super_dirty(m_fs);
    }
    fill(inode, data, m_fs->super->s_inode_size > EXT2_GOOD_OLD_INODE_SIZE && inode.i_extra_isize >= 24);
    return check(ext2fs_write_inode_full(m_fs, number, small(inode), sizeof(inode)), "an inode");
}

Result<u32> Library::create_inode(u32 parent, const InodeData& data, u64 special_device, std::string_view text)
{
    u32 number = 0;
    TRY(check(ext2fs_new_inode(m_fs, parent, static_cast<int>(data.mode), nullptr, &number), "the inode bitmap"));
    ext2_inode_large inode {};
    const bool is_large = m_fs->super->s_inode_size > EXT2_GOOD_OLD_INODE_SIZE;
    inode.i_extra_isize = is_large ? sizeof(ext2_inode_large) - EXT2_GOOD_OLD_INODE_SIZE : 0;
    fill(inode, data, is_large);
    const u32 type = data.mode & abi::k_s_ifmt;
    const bool is_fast_link = type == abi::k_s_iflnk && text.size() < sizeof(inode.i_block);
    if (type == abi::k_s_ifchr || type == abi::k_s_ifblk) {
        const u64 major = special_device >> 8 & 0xfff;
        const u64 minor = (special_device & 0xff) | (special_device >> 12 & 0xffffff00);
        if (major < 256 && minor < 256)
            std::span(inode.i_block)[0] = static_cast<u32>(major << 8 | minor);
        else
            std::span(inode.i_block)[1] = static_cast<u32>((minor & 0xff) | major << 8 | (minor & ~u64 { 0xff }) << 12);
    } else if (is_fast_link) {
        __builtin_memcpy(&inode.i_block, text.data(), text.size());
    } else if (ext2fs_has_feature_extents(m_fs->super) && type != abi::k_s_ififo && type != abi::k_s_ifsock) {
        inode.i_flags |= EXT4_EXTENTS_FL;
        // An empty tree: its header, in the place of the block numbers (Linux, ext4/ifork.rst).
        std::span(inode.i_block)[0] = 0xf30a; // magic, no entries ...
        std::span(inode.i_block)[1] = 4; // ... of at most four, at depth 0
    }
    inode.i_size = static_cast<u32>(type == abi::k_s_iflnk ? text.size() : data.size);
    ext2fs_inode_alloc_stats2(m_fs, number, 1, type == abi::k_s_ifdir);
    // All of the inode, so that nothing is left of its former life.
    Bytes whole = TRY(Bytes::create_zeroed(m_fs->super->s_inode_size));
    __builtin_memcpy(whole.span().data(), &inode, std::min<usize>(whole.span().size(), sizeof(inode)));
    TRY(check(ext2fs_write_inode_full(m_fs, number, static_cast<ext2_inode*>(static_cast<void*>(whole.span().data())),
                  static_cast<int>(whole.span().size())),
        "an inode"));
    if (type != abi::k_s_iflnk || is_fast_link)
        return number;
    if (auto placed = allocate(number, 0, 1, true); placed.is_error()) {
        static_cast<void>(free_inode(number).is_error());
        return placed.error();
    }
    const Extent extent = TRY(map(number, 0, 1));
    Vector<u8> block;
    TRY(block.try_resize(m_fs->blocksize));
    __builtin_memcpy(block.begin(), text.data(), std::min<usize>(text.size(), block.size() - 1));
    TRY(m_cache.write(extent.physical * m_fs->blocksize, block.span()));
    return number;
}

Result<> Library::free_inode(u32 number)
{
    ext2_inode_large inode {};
    TRY(check(ext2fs_read_inode_full(m_fs, number, small(inode), sizeof(inode)), "an inode"));
    const bool is_directory = LINUX_S_ISDIR(inode.i_mode);
    if (ext2fs_inode_has_valid_blocks2(m_fs, small(inode)))
        TRY(check(ext2fs_punch(m_fs, number, small(inode), nullptr, 0, ~blk64_t { 0 }), "a file's blocks"));
    TRY(check(ext2fs_free_ext_attr(m_fs, number, nullptr), "an attribute block"));
    TRY(check(ext2fs_read_inode_full(m_fs, number, small(inode), sizeof(inode)), "an inode"));
    inode.i_links_count = 0;
    inode.i_dtime = static_cast<u32>(realtime_now().value() / 1'000'000'000);
    TRY(check(ext2fs_write_inode_full(m_fs, number, small(inode), sizeof(inode)), "an inode"));
    ext2fs_inode_alloc_stats2(m_fs, number, -1, is_directory);
    return {};
}

Result<String> Library::read_link(u32 number)
{
    ext2_inode_large inode {};
    TRY(check(ext2fs_read_inode_full(m_fs, number, small(inode), sizeof(inode)), "an inode"));
    const u64 size = EXT2_I_SIZE(&inode);
    if (ext2fs_is_fast_symlink(small(inode))) {
        if (size >= sizeof(inode.i_block))
            return Errno::EIO;
        return String::create({ reinterpret_cast<const char*>(&inode.i_block), size });
    }
    const Extent extent = TRY(map(number, 0, 1));
    if (size >= m_fs->blocksize || extent.kind != Extent::Kind::Written)
        return Errno::EIO;
    Vector<char> text;
    TRY(text.try_resize(size));
    TRY(m_cache.read(extent.physical * m_fs->blocksize, std::span(reinterpret_cast<u8*>(text.begin()), text.size())));
    return String::create({ text.begin(), text.size() });
}

// The list goes through the inodes' time of deletion.
Result<> Library::add_orphan(u32 number)
{
    ext2_inode_large inode {};
    TRY(check(ext2fs_read_inode_full(m_fs, number, small(inode), sizeof(inode)), "an inode"));
    inode.i_dtime = m_fs->super->s_last_orphan;
    TRY(check(ext2fs_write_inode_full(m_fs, number, small(inode), sizeof(inode)), "an inode"));
    m_fs->super->s_last_orphan = number;
    ext2fs_mark_super_dirty(m_fs);
    return {};
}

u32 Library::first_orphan() const
{
    return m_fs->super->s_last_orphan;
}

Result<> Library::remove_orphan(u32 number)
{
    ext2_inode_large inode {};
    TRY(check(ext2fs_read_inode_full(m_fs, number, small(inode), sizeof(inode)), "an inode"));
    const u32 next = inode.i_dtime;
    inode.i_dtime = 0;
    TRY(check(ext2fs_write_inode_full(m_fs, number, small(inode), sizeof(inode)), "an inode"));
    if (m_fs->super->s_last_orphan == number) {
        m_fs->super->s_last_orphan = next;
        ext2fs_mark_super_dirty(m_fs);
        return {};
    }
    u32 at = m_fs->super->s_last_orphan;
    for (u32 steps = 0; at != 0 && steps < m_fs->super->s_inodes_count; ++steps) {
        TRY(check(ext2fs_read_inode_full(m_fs, at, small(inode), sizeof(inode)), "an inode"));
        if (inode.i_dtime == number) {
            inode.i_dtime = next;
            return check(ext2fs_write_inode_full(m_fs, at, small(inode), sizeof(inode)), "an inode");
        }
        at = inode.i_dtime;
    }
    log_error("ext: inode {} is not in the list of orphans", number);
    return Errno::EIO;
}

} // namespace eremite::ext
