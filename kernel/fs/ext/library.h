// libext2fs behind one small interface: what is on the disk, as inodes, extents and blocks of directories. It sees the
// disk through a BlockCache only, and memory of the kernel's only in the arguments here. Nothing else of the kernel
// includes the library's headers.
//
// Not locked: one caller at a time. Errors: ENOSPC, EIO (what is on the disk can't be true, or the disk failed),
// ENOMEM.
#pragma once

#include "base/owned.h"
#include "base/string.h"
#include "fs/ext/block_cache.h"

struct struct_ext2_filsys;

namespace eremite::ext {

/// What the file system keeps of a file.
struct InodeData {
    u32 mode { 0 };
    u32 uid { 0 };
    u32 gid { 0 };
    u32 link_count { 0 };
    u64 size { 0 };
    u64 sectors { 0 }; // of 512 bytes; not written
    u64 special_device { 0 }; // not written
    Nanoseconds access_time {};
    Nanoseconds modify_time {};
    Nanoseconds change_time {};
    Nanoseconds birth_time {};
    bool operator==(const InodeData&) const = default;
};

/// Where blocks [logical, logical + count) of a file are.
struct Extent {
    enum class Kind { Hole, Unwritten, Written };
    u64 logical { 0 };
    u64 count { 0 };
    u64 physical { 0 };
    Kind kind { Kind::Hole };
};

struct Statistics {
    u64 blocks { 0 };
    u64 free_blocks { 0 };
    u64 inodes { 0 };
    u64 free_inodes { 0 };
};

class Library {
public:
    static constexpr u32 k_root = 2;

    /// Opens the file system, replays its journal if it must be and `may_write`; nothing is committed by that yet.
    /// EROFS: it would have to be replayed; EINVAL: no such file system, or of a kind that is not supported (logged).
    static Result<OwnPtr<Library>> open(BlockCache& cache, bool may_write);
    ~Library();
    Library(const Library&) = delete;

    u32 block_size() const;
    bool is_writable() const;
    Statistics statistics() const;
    /// Freed since the last release_freed(): not to be had before that.
    u64 pending_blocks() const { return m_pending_count; }
    bool has_checksums() const; // directory blocks end with one
    bool has_file_types() const; // entries of directories say of what type the file is
    bool has_large_numbers() const;
    u64 super_block() const; // where the superblock is

    /// The pieces of the journal's file; empty without a journal.
    Result<Vector<Journal::Piece>> journal_pieces();
    /// What the superblock says of how the file system was left.
    void set_mounted(bool mounted);
    void set_damaged();
    struct Range {
        u64 first;
        u64 count;
    };
    /// What was freed may be used again: call it when a commit is sure to follow. Returns what it was.
    Vector<Range> release_freed();
    /// The library's tables (bitmaps, group descriptors, superblock) to the cache.
    Result<> flush();

    Result<InodeData> read_inode(u32 number);
    Result<> write_inode(u32 number, const InodeData& data);
    /// Near `parent`. Not named by any directory yet. Of a symlink, `text` is its target, which must fit in a block.
    Result<u32> create_inode(u32 parent, const InodeData& data, u64 special_device, std::string_view text);
    /// Frees it and all that it holds.
    Result<> free_inode(u32 number);
    Result<String> read_link(u32 number);

    // Files without a name that are in use still: a list on the disk, whose inodes are freed after a crash.
    Result<> add_orphan(u32 number);
    Result<> remove_orphan(u32 number);
    u32 first_orphan() const;

    /// The extent at `logical`, at most `count` blocks of it.
    Result<Extent> map(u32 number, u64 logical, u64 count);
    /// Gives every block in the range a place. `written`: they are about to be; else they read as zeroes until then
    /// (EOPNOTSUPP: a file without extents).
    Result<> allocate(u32 number, u64 logical, u64 count, bool written);
    /// Likewise, and they read as zeroes, whatever kind of file it is.
    Result<> allocate_cleared(u32 number, u64 logical, u64 count);
    /// Blocks of an unwritten extent are written now.
    Result<> mark_written(u32 number, const Extent& extent);
    /// Frees blocks [first, last].
    Result<> punch(u32 number, u64 first, u64 last);

    /// One block of a directory, checked and with its checksum.
    Result<> read_directory_block(u32 number, u64 physical, std::span<u8> block);
    Result<> write_directory_block(u32 number, u64 physical, std::span<u8> block);
    /// The directory's blocks are about to be changed without its hash tree, which is no longer used. Returns whether
    /// it had one.
    Result<bool> drop_hash_tree(u32 number);

    Result<usize> get_xattr(u32 number, std::string_view name, std::span<u8> buffer);
    Result<> set_xattr(u32 number, std::string_view name, std::span<const u8> value, int flags);
    Result<> remove_xattr(u32 number, std::string_view name);
    Result<usize> list_xattrs(u32 number, std::span<u8> buffer);

    // For the library's calls back.
    void block_freed(u64 block);
    void group_changed(u32 group, bool blocks);

private:
    template<typename T, typename... Arguments> friend Result<OwnPtr<T>> eremite::make(Arguments&&...);
    explicit Library(BlockCache& cache)
        : m_cache(cache)
    {
    }
    Result<> check_features(bool may_write);
    Result<> check(long code, const char* what);
    Result<bool> extend(u32 number, u64 logical, u64 count);
    Result<> write_bitmap(u32 group, bool blocks);

    BlockCache& m_cache;
    ::struct_ext2_filsys* m_fs { nullptr };
    Vector<u8> m_changed_groups; // 1: its block bitmap, 2: its inode bitmap
    Vector<Range> m_pending;
    u64 m_pending_count { 0 };
    bool m_lost_track { false }; // no memory to note what was freed
};

} // namespace eremite::ext
