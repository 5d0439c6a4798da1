// A file system in memory, with a limit on its size. Also what the archive of the root is unpacked into (the files'
// data stay in the archive until they are written or mapped), and what memfd_create makes files of.
#pragma once

#include "fs/inode.h"
#include "fs/packed_name.h"
#include "fs/xattr_store.h"
#include "mm/page_cache.h"
#include "mm/page_tree.h"

namespace eremite {

class RamDirectory;
class RamFile;

class RamFileSystem final : public FileSystem {
public:
    /// `name` is what /proc/mounts shows (it lives for ever); `limit` in bytes of file data. ENOMEM.
    static Result<RefPtr<RamFileSystem>> create(std::string_view name, u64 limit);
    ~RamFileSystem() override;

    std::string_view type_name() const override { return m_name; }
    Result<RefPtr<Inode>> root() override;
    Result<> statfs(abi::StatFs& statistics) override;
    void unmounted() override;

    /// A regular file without a name.
    Result<RefPtr<RamFile>> create_file(u32 mode);
    /// Any other file without a name, for RamDirectory.
    Result<RefPtr<Inode>> create_node(u32 mode, u64 device, std::string_view link_target);
    PageCache::Quota& quota() { return m_quota; }
    u64 next_number() { return m_next_number.fetch_add(1, std::memory_order_relaxed); }
    std::atomic<u64>& file_count() { return m_file_count; }

private:
    template<typename T, typename... Arguments> friend Result<RefPtr<T>> make_ref(Arguments&&...);
    RamFileSystem(std::string_view name, u64 limit);

    std::string_view m_name;
    RefPtr<RamDirectory> m_root; // dropped by unmounted(): it refers back to this
    PageCache::Quota m_quota;
    std::atomic<u64> m_next_number { 1 };
    std::atomic<u64> m_file_count { 0 };
};

/// What all files of it have in common.
class RamInode : public Inode {
public:
    ~RamInode() override;
    Result<usize> get_xattr(std::string_view name, std::span<u8> buffer) override;
    Result<> set_xattr(std::string_view name, std::span<const u8> value, int flags) override;
    Result<> remove_xattr(std::string_view name) override;
    Result<usize> list_xattrs(std::span<u8> buffer) override;

    void change_link_count(int by);
    void change_link_count(int by, Nanoseconds now);
    void set_times(Nanoseconds time);

protected:
    RamInode(RamFileSystem& file_system, u32 mode);
    RamFileSystem& ram() const { return static_cast<RamFileSystem&>(file_system()); }
    void set_special_device(u64 device);

private:
    Mutex m_xattr_lock;
    XattrStore m_xattrs GUARDED_BY(m_xattr_lock);
};

class RamFile final : public RamInode {
public:
    Result<> attributes(Attributes& result) override;
    Result<usize> read(u64 handle, u64 offset, IoBuffer buffer) override;
    Result<usize> write(u64 handle, u64 offset, IoBuffer buffer) override;
    Result<> truncate(u64 handle, u64 length) override;
    Result<> allocate(u64 handle, int mode, u64 offset, u64 length) override;
    Result<u64> seek_data(u64 handle, u64 offset, bool hole) override;
    Result<PageCache*> page_cache() override;
    Result<long> control(int command, u64 argument) override;
    u64 size() override;
    bool is_write_sealed() const override;

    /// Gives an empty file its first content, which stays where it is: it must live as long as the kernel.
    void set_contents(std::span<const u8> contents);
    /// Allows F_ADD_SEALS (memfd_create).
    void allow_sealing(bool allow);

private:
    template<typename T, typename... Arguments> friend Result<RefPtr<T>> make_ref(Arguments&&...);
    friend class RamFileSystem;
    RamFile(RamFileSystem& file_system, u32 mode);
    /// Copies the first content into pages, before anything changes.
    Result<> own_contents();
    bool is_sealed(u32 seals) const { return (m_seals.load(std::memory_order_relaxed) & seals) != 0; }

    PageCache m_pages;
    std::atomic<const u8*> m_contents { nullptr }; // non-null: the pages are empty and this is the content
    usize m_contents_size { 0 };
    Mutex m_contents_lock;
    std::atomic<u32> m_seals { 0 };
};

class RamDirectory final : public RamInode {
public:
    ~RamDirectory() override;

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

    bool is_empty() const { return m_count == 0; }
    /// Adds `inode` under a name that is free. mutex() is held, or nobody else knows the directory yet.
    Result<> add(std::string_view name, RefPtr<Inode> inode);
    /// Breaks the circle of references, deeply.
    void clear();

private:
    template<typename T, typename... Arguments> friend Result<RefPtr<T>> make_ref(Arguments&&...);
    friend class RamFileSystem;
    RamDirectory(RamFileSystem& file_system, u32 mode);

    struct Entry {
        Entry* next { nullptr }; // in the bucket
        RefPtr<Inode> inode;
        u64 position { 0 };
        PackedName packed;
        String long_name; // one that doesn't fit

        std::string_view name() const { return packed.fits ? packed.view() : long_name.view(); }
    };
    Entry*& bucket_of(const PackedName& name) { return m_buckets[name.hash & (m_buckets.size() - 1)]; }
    Entry* find(std::string_view name);
    void remove(Entry& entry, Nanoseconds now, int links);
    void changed(Nanoseconds now, int links);
    Result<> grow();
    void move_entries_to(Entry*& list);

    // Under mutex(), which the VFS holds; read_directory takes it itself.
    Vector<Entry*> m_buckets; // by the name's hash; a power of two, or none before the first name
    PageTree m_by_position; // in the order in which they were made: where a reader of the directory goes on
    usize m_count { 0 };
    u64 m_next_position { 2 };
};

/// Registers "tmpfs" and "ramfs" for mount(2).
void register_ramfs();

} // namespace eremite
