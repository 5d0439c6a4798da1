// The dentry cache: names of files that were looked up, each in its directory. A hit takes no lock.
//
// Dentries live in memory that is never given back to the heap, so a reader may look at one that has just been freed; a
// sequence count that every removal and rename moves tells it to forget what it saw. A dentry always has an inode:
// names that don't exist are not cached. There are no bind mounts, so a dentry alone says where in the tree one is.
#pragma once

#include "fs/inode.h"
#include "fs/packed_name.h"
#include <array>

namespace eremite {

/// One name. Reference-counted: the cache holds one reference while it is listed there, a child holds one on its
/// parent.
class Dentry {
public:
    Inode& inode() const { return *m_inode.load(std::memory_order_relaxed); }

    void ref() const { m_references.fetch_add(1, std::memory_order_relaxed); }
    void unref() const;
    bool try_ref() const;

    /// The directory that holds it; the root of a file system is its own parent. ROOT of everything: no parent.
    RefPtr<Dentry> parent();
    /// A copy: the name may change.
    Result<String> name();
    /// Whether it was removed (the path ends in " (deleted)").
    bool is_removed() const { return (m_flags.load(std::memory_order_relaxed) & Removed) != 0; }
    bool is_file_system_root() const { return m_parent.load(std::memory_order_relaxed) == nullptr; }

    /// What is mounted on it, or null; what it covers as the root of a mounted file system, or null.
    Dentry* mounted() const { return m_mounted.load(std::memory_order_acquire); }
    Dentry* covered() const { return m_covered.load(std::memory_order_acquire); }

private:
    friend class DentryCache;
    enum Flag : u32 {
        Directory = 1,
        Symlink = 2,
        MountPoint = 4,
        Expires = 8,
        Long = 16,
        Hashed = 32,
        Removed = 64,
    };

    bool has_words(const PackedName& name) const
    {
        return m_words[0].load(std::memory_order_relaxed) == name.words[0]
            && m_words[1].load(std::memory_order_relaxed) == name.words[1]
            && m_words[2].load(std::memory_order_relaxed) == name.words[2]
            && m_words[3].load(std::memory_order_relaxed) == name.words[3]
            && m_words[4].load(std::memory_order_relaxed) == name.words[4];
    }

    std::atomic<Dentry*> m_next { nullptr }; // in the bucket, or the free list
    std::atomic<Dentry*> m_parent { nullptr };
    std::array<std::atomic<u64>, PackedName::k_words> m_words {};
    std::atomic<u32> m_hash { 0 };
    std::atomic<u32> m_flags { 0 };
    mutable std::atomic<u32> m_references { 0 };
    std::atomic<Inode*> m_inode { nullptr };
    std::atomic<Dentry*> m_mounted { nullptr };
    std::atomic<Dentry*> m_covered { nullptr };
    std::atomic<i64> m_valid_until { 0 };
    String m_long_name; // under the cache's lock
};

class DentryCache {
public:
    /// The root of a file system: not listed, without a name. ENOMEM.
    static Result<RefPtr<Dentry>> create_root(RefPtr<Inode> inode);

    /// The child `name` of `directory`, from the cache or its file system. ENOENT, ENOTDIR, ENAMETOOLONG.
    static Result<RefPtr<Dentry>> lookup(Dentry& directory, std::string_view name);
    /// Likewise, with the directory's mutex held by the caller.
    static Result<RefPtr<Dentry>> lookup_locked(Dentry& directory, std::string_view name);
    /// Lists what a file system has just created. The directory's mutex is held.
    static Result<RefPtr<Dentry>> insert(Dentry& directory, std::string_view name, Inode::Found found);
    /// What lookup_locked() would have found: kept unless there is something else under that name already.
    static void learn(Dentry& directory, std::string_view name, Inode::Found found);
    /// The name is gone. The directory's mutex is held.
    static void remove(Dentry& dentry);
    /// The name has moved, replacing `replaced` if that isn't null. Both directories' mutexes are held. ENOMEM before
    /// anything has changed: reserve first by prepare_name().
    static void move(Dentry& dentry, Dentry& directory, std::string_view name, String long_name, Dentry* replaced);
    static void exchange(Dentry& first, Dentry& second, String first_long, String second_long);
    /// Storage for a long name, empty for a short one.
    static Result<String> prepare_name(std::string_view name);

    /// A file without a name. ENOMEM.
    static Result<RefPtr<Dentry>> create_unnamed(Dentry& directory, RefPtr<Inode> inode);

    /// Likewise one in no directory: "/memfd:NAME" is its path. ENOMEM.
    static Result<RefPtr<Dentry>> create_memory_file(RefPtr<Inode> inode, std::string_view name);

    /// The whole walk from `start` without a lock, if every name is cached and nothing is out of the ordinary; else
    /// null.
    static RefPtr<Dentry> walk(Dentry& start, std::string_view path, bool follow_last);

    /// Whether `ancestor` is `dentry` or above it, in one file system. The rename lock is held.
    static bool is_ancestor(Dentry& ancestor, Dentry& dentry);

    static void set_mounted(Dentry& point, Dentry& root);
    static void clear_mounted(Dentry& point, Dentry& root);

    /// Forgets names that nobody uses; of one file system, or of all. Before unmounting, and when memory is short.
    static usize drop_unused(FileSystem* file_system);

    static usize count();
    static u32 references(const Dentry& dentry) { return dentry.m_references.load(std::memory_order_relaxed); }

private:
    friend class Dentry;
    static Dentry* allocate();
    static void release(Dentry& dentry);
    static void unlist(Dentry& dentry);
    static void set_name(Dentry& dentry, Dentry* parent, const PackedName& packed, String long_name);
    static Dentry* find(Dentry& directory, const PackedName& packed, std::string_view name);
};

/// Held by rename() across its checks and the move: the shape of the tree stays.
Mutex& rename_lock();

/// "/a/b", seen from `root`; " (deleted)" at the end if so.
Result<String> path_of(Dentry& dentry, Dentry& root);

} // namespace eremite
