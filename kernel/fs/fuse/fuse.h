// The client of a FUSE daemon: a file system whose files are on the other side of a FuseTransport. Nothing that the
// daemon says is trusted: wrong lengths, unknown errors, impossible names and changed types give EIO.
//
// Data go through each file's PageCache. Writes reach the daemon before write() returns; pages written through a
// mapping, at msync, fsync or the last close. Names and attributes are kept as long as the daemon allows.
#pragma once

#include "base/intrusive.h"
#include "device/fuse_transport.h"
#include "fs/fuse/protocol.h"
#include "fs/inode.h"
#include "mm/page_cache.h"

namespace eremite {

class FuseInode;

class FuseFileSystem final : public FileSystem {
public:
    static constexpr Nanoseconds k_default_timeout = Nanoseconds::from_seconds(120);

    /// Negotiates with the daemon. A request that it has not answered after `timeout` fails with EIO, and so does,
    /// sooner, what follows, until it answers; zero: it may take for ever. EIO, EPROTO, ENOMEM.
    static Result<RefPtr<FuseFileSystem>> create(FuseTransport& transport, Nanoseconds timeout = k_default_timeout);

    std::string_view type_name() const override { return "virtiofs"; }
    Result<RefPtr<Inode>> root() override;
    Result<> statfs(abi::StatFs& statistics) override;
    Result<> sync() override;
    void unmounted() override;

    /// A request: `parts` follow one another after the header. The answer must be of exactly reply.size() bytes, or at
    /// most that if `reply_may_be_shorter`; how many came. The daemon's error, or EIO.
    Result<usize> call(fuse::Opcode opcode, u64 node, std::initializer_list<std::span<const u8>> parts,
        std::span<u8> reply, bool reply_may_be_shorter = false);
    /// Likewise with pages as the reply (`is_read`) or as the last parts of the request.
    Result<usize> transfer(fuse::Opcode opcode, u64 node, std::span<const u8> argument,
        std::span<const std::span<u8, k_page_size>> pages, usize length, std::span<u8> reply);
    void forget(u64 node, u64 lookups);

    /// The inode that an answer speaks of; counts the lookup. EIO if the daemon contradicts itself.
    Result<RefPtr<FuseInode>> inode_of(const fuse::EntryOut& entry);
    void inode_gone(FuseInode& inode);
    u32 pages_per_request() const { return m_pages_per_request; }
    bool has_readdirplus() const { return m_has_readdirplus.load(std::memory_order_relaxed); }
    void no_readdirplus() { m_has_readdirplus.store(false, std::memory_order_relaxed); }

private:
    template<typename T, typename... Arguments> friend Result<RefPtr<T>> make_ref(Arguments&&...);
    FuseFileSystem(FuseTransport& transport, Nanoseconds timeout)
        : m_transport(transport)
        , m_timeout(timeout)
    {
    }
    Nanoseconds deadline() const;
    Result<usize> exchange(std::span<const std::span<const u8>> requests, std::span<const std::span<u8>> replies,
        OwnPtr<RequestMemory>& memory);
    Result<> check(const fuse::OutHeader& header, u64 unique, usize received) const;

    struct NodeOf;
    FuseTransport& m_transport;
    Nanoseconds m_timeout;
    std::atomic<bool> m_is_silent { false }; // the last request was not answered in time
    std::atomic<u64> m_next_unique { 2 };
    u32 m_pages_per_request { 1 };
    std::atomic<bool> m_has_readdirplus { false };
    Mutex m_table_lock;

public:
    struct Hook {
        TreeHook hook;
        u64 node { 0 };
        FuseInode* inode { nullptr };
    };

private:
    struct NodeKey {
        using type = u64;
        type operator()(const Hook& entry) const { return entry.node; }
    };
    Tree<Hook, &Hook::hook, NodeKey> m_table GUARDED_BY(m_table_lock);
};

class FuseInode final : public Inode, private PageSource {
public:
    ~FuseInode() override;

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
    Result<> read_directory(u64 handle, u64 position, u64 parent, DirectorySink& sink) override;
    Result<String> read_link() override;

    Result<u64> open_handle(u32 flags) override;
    void close_handle(u64 handle, u32 flags) override;
    void flush_handle(u64 handle) override;
    Result<usize> read(u64 handle, u64 offset, IoBuffer buffer) override;
    Result<usize> write(u64 handle, u64 offset, IoBuffer buffer) override;
    Result<> truncate(u64 handle, u64 length) override;
    Result<> allocate(u64 handle, int mode, u64 offset, u64 length) override;
    Result<> sync(u64 handle, bool data_only) override;
    Result<u64> seek_data(u64 handle, u64 offset, bool hole) override;
    Result<PageCache*> page_cache() override { return &m_pages; }
    u64 size() override;

    Result<usize> get_xattr(std::string_view name, std::span<u8> buffer) override;
    Result<> set_xattr(std::string_view name, std::span<const u8> value, int flags) override;
    Result<> remove_xattr(std::string_view name) override;
    Result<usize> list_xattrs(std::span<u8> buffer) override;

    u64 node() const { return m_entry.node; }
    Result<> write_back() { return m_pages.dirty_count() != 0 ? m_pages.write_back_all() : Result<>(); }

private:
    friend class FuseFileSystem;
    template<typename T, typename... Arguments> friend Result<RefPtr<T>> make_ref(Arguments&&...);
    FuseInode(FuseFileSystem& file_system, u64 node, const fuse::Attr& attributes);
    FuseFileSystem& fuse() const { return static_cast<FuseFileSystem&>(file_system()); }

    Result<> read_pages(u64 first, std::span<const std::span<u8, k_page_size>> pages) override;
    Result<> write_pages(u64 first, std::span<const std::span<u8, k_page_size>> pages, usize length) override;

    Result<bool> read_plain(u64 handle, u64& position, DirectorySink& sink);
    Result<bool> read_plus(u64 handle, u64& position, DirectorySink& sink);
    Result<> refresh();
    /// Takes over what the daemon says now. EIO if it can't be.
    Result<> update(const fuse::Attr& attributes, u64 valid, u32 valid_nanoseconds);
    Result<Found> found(const fuse::EntryOut& entry);
    Result<> change(fuse::SetAttrIn change);
    u64 handle();
    void attributes_expired() { m_valid_until.store(0, std::memory_order_relaxed); }

    FuseFileSystem::Hook m_entry;
    std::atomic<u64> m_lookups { 0 };
    std::atomic<i64> m_valid_until { 0 };
    std::atomic<i64> m_seen_modify_time { 0 }; // of the data in the cache
    std::atomic<bool> m_wrote { false }; // the daemon's time of change moved by our own doing
    std::atomic<bool> m_names_are_asked_for { false }; // of a directory: since it was read last
    PageCache m_pages;

    // One open file of the daemon's serves all descriptions of a regular file.
    Mutex m_handle_lock;
    u64 m_handle GUARDED_BY(m_handle_lock) { 0 };
    bool m_has_handle GUARDED_BY(m_handle_lock) { false };
    bool m_handle_is_writable GUARDED_BY(m_handle_lock) { false };
    u32 m_opens GUARDED_BY(m_handle_lock) { 0 };
};

} // namespace eremite
