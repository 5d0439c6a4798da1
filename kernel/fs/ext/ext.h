// ext2, ext3 and ext4 on a block device.
//
// What nobody syncs reaches the disk within seconds, by a thread of the file system's own.
//
// Data go through each file's PageCache and get their places on the disk when they are written back. Metadata change in
// the BlockCache, and reach the disk in one commit (fsync, sync, or when there is much): data first, so that no file
// shows what another one left; through the journal where there is one, so that a crash leaves all of a commit or
// nothing.
//
// Locks: an inode's mutex() (the VFS's), then the file system's. The latter is held for whole operations, commits and
// the writing of data; never while application memory is touched or a PageCache is entered.
#pragma once

#include "fs/ext/directory.h"
#include "fs/ext/library.h"
#include "mm/page_cache.h"

namespace eremite::ext {

class ExtInode;

class ExtFileSystem final : public FileSystem {
public:
    /// EINVAL: no such file system; EROFS: its journal must be replayed, and can't be; EIO, ENOMEM.
    /// `discards`: the disk is told which blocks are no longer used, if it wants to know.
    static Result<RefPtr<ExtFileSystem>> create(BlockDevice& device, bool read_only, bool discards = false);

    std::string_view type_name() const override { return "ext4"; }
    Result<RefPtr<Inode>> root() override;
    Result<> statfs(abi::StatFs& statistics) override;
    Result<> sync() override;
    Result<> shut_down() override;
    void unmounted() override;

    /// The inode of that number. EIO: it is not in use, whatever the directory says.
    Result<RefPtr<ExtInode>> inode(u32 number, bool may_be_unnamed = false);
    void inode_gone(ExtInode& inode);

    Mutex& lock() RETURN_CAPABILITY(m_lock) { return m_lock; }
    Library& library() REQUIRES(m_lock) { return *m_library; }
    BlockCache& cache() REQUIRES(m_lock) { return *m_cache; }
    u32 block_size() const { return m_block_size; }

    /// Before an operation: EROFS; and commits first if much has gathered.
    Result<> begin() REQUIRES(m_lock);
    /// All of what was done to the metadata reaches the disk. The data must be there.
    Result<> commit() REQUIRES(m_lock);
    /// An operation failed half-way, or the disk did: nothing is written any more. Returns the error.
    Errno give_up(Errno error) REQUIRES(m_lock);
    /// ENOSPC: so little is left that an operation might end half-way.
    Result<> require_metadata_room() REQUIRES(m_lock);
    /// EIO after give_up().
    Result<> is_healthy() const REQUIRES(m_lock) { return m_gave_up ? Result<>(Errno::EIO) : Result<>(); }
    /// Room for `pages` more pages that get their places later. ENOSPC.
    Result<> reserve(u64 pages);
    void pages_written(u64 pages);

private:
    template<typename T, typename... Arguments> friend Result<RefPtr<T>> eremite::make_ref(Arguments&&...);
    ExtFileSystem() = default;
    Result<> bring_up(BlockDevice& device, bool read_only);
    Result<> free_orphans() REQUIRES(m_lock);
    Result<> write_back_data();
    Result<> write_back(bool even_if_unchanged);
    /// The thread's function; `self` is a reference that it owns.
    static void write_back_regularly(void* self);
    bool has_room(u64 blocks) REQUIRES(m_lock);
    void discard(std::span<const Library::Range> freed) REQUIRES(m_lock);

public:
    struct Hook {
        TreeHook hook;
        u32 number { 0 };
        ExtInode* inode { nullptr };
    };

private:
    struct NumberOf {
        using type = u32;
        type operator()(const Hook& entry) const { return entry.number; }
    };

    Mutex m_lock;
    OwnPtr<BlockCache> m_cache GUARDED_BY(m_lock);
    OwnPtr<Library> m_library GUARDED_BY(m_lock);
    bool m_gave_up GUARDED_BY(m_lock) { false };
    bool m_is_down GUARDED_BY(m_lock) { false };
    WaitQueue m_went_down;
    u64 m_reserved GUARDED_BY(m_lock) { 0 }; // pages
    u32 m_block_size { 0 };
    bool m_discards { false };

    Mutex m_table_lock;
    WaitQueue m_gone; // an inode has left the table
    Tree<Hook, &Hook::hook, NumberOf> m_table GUARDED_BY(m_table_lock);
};

class ExtInode final : public Inode, private PageSource {
public:
    ~ExtInode() override;

    Result<> attributes(Attributes& result) override;
    Result<> set_attributes(const AttributeChange& change) override;
    Result<Found> lookup(std::string_view name) override;
    Result<Found> create(std::string_view name, u32 mode, u64 device) override;
    Result<Found> create_symlink(std::string_view name, std::string_view target) override;
    Result<> link(std::string_view name, Inode& inode) override;
    Result<> unlink(std::string_view name, Inode& inode) override;
    Result<> remove_directory(std::string_view name, Inode& inode) override;
    Result<> rename(std::string_view name, Inode& inode, Inode& target, std::string_view new_name, Inode* replaced,
        bool exchange) override;
    Result<RefPtr<Inode>> create_unnamed(u32 mode) override;
    Result<> read_directory(u64 handle, u64 position, u64 parent, DirectorySink& sink) override;
    Result<String> read_link() override;

    Result<usize> read(u64 handle, u64 offset, IoBuffer buffer) override;
    Result<usize> write(u64 handle, u64 offset, IoBuffer buffer) override;
    Result<> truncate(u64 handle, u64 length) override;
    Result<> allocate(u64 handle, int mode, u64 offset, u64 length) override;
    Result<> sync(u64 handle, bool data_only) override;
    Result<u64> seek_data(u64 handle, u64 offset, bool hole) override;
    Result<PageCache*> page_cache() override;
    u64 size() override;

    Result<usize> get_xattr(std::string_view name, std::span<u8> buffer) override;
    Result<> set_xattr(std::string_view name, std::span<const u8> value, int flags) override;
    Result<> remove_xattr(std::string_view name) override;
    Result<usize> list_xattrs(std::span<u8> buffer) override;

    u32 disk_number() const { return m_entry.number; }
    Result<> write_back() { return m_pages.dirty_count() != 0 ? m_pages.write_back_all() : Result<>(); }
    /// What has changed of times, owner and size, to the metadata. The file system's lock is held.
    Result<> flush_attributes();
    bool has_dirty_pages() const { return m_pages.dirty_count() != 0; }

private:
    friend class ExtFileSystem;
    template<typename T, typename... Arguments> friend Result<RefPtr<T>> eremite::make_ref(Arguments&&...);
    ExtInode(ExtFileSystem& file_system, u32 number, const InodeData& data);
    ExtFileSystem& ext() const { return static_cast<ExtFileSystem&>(file_system()); }

    Result<> read_pages(u64 first, std::span<const std::span<u8, k_page_size>> pages) override;
    Result<> write_pages(u64 first, std::span<const std::span<u8, k_page_size>> pages, usize length) override;
    // Under the file system's lock, which is another object's.
    Result<> transfer(
        const Extent& extent, u64 first_block, std::span<const std::span<u8, k_page_size>> pages, bool is_write);

    Result<usize> place_now(u64 offset, usize length);
    InodeData data();
    Result<> change_links(int by);
    Result<RefPtr<ExtInode>> make(u32 mode, u64 device, std::string_view text, std::string_view name);
    Result<> add_entry(std::string_view name, ExtInode& inode);
    void directory_changed();

    ExtFileSystem::Hook m_entry;
    InodeData m_on_disk; // under the file system's lock
    Directory m_directory; // likewise; of a directory
    bool m_is_orphan { false }; // likewise
    PageCache m_pages;
};

} // namespace eremite::ext
