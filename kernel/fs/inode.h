// What a file system implements: FileSystem and Inode. The VFS (dentry.h, path.h, sys_*.cpp) checks arguments, walks
// paths, keeps names and locks directories; an Inode does the one thing that is asked of it.
//
// Locking: the VFS holds a directory's mutex() while it changes or looks up entries, and a file's mutex() while it
// writes, truncates or allocates. With several, in the order of rename: s_rename_lock, then by address.
#pragma once

#include "abi/fs.h"
#include "base/owned.h"
#include "base/result.h"
#include "base/string.h"
#include "sched/wait_queue.h"
#include "syscall/user_pointer.h"

namespace eremite {

class Dentry;
class File;
class FileLocks;
class Inode;
class PageCache;
struct FifoState;

/// What stat tells. Times are since 1970.
struct Attributes {
    u64 number { 0 };
    u32 mode { 0 }; // type and permissions
    u32 link_count { 1 };
    u32 uid { 0 };
    u32 gid { 0 };
    u64 special_device { 0 };
    u64 size { 0 };
    u64 blocks { 0 }; // of 512 bytes
    u32 block_size { k_page_size };
    Nanoseconds access_time {};
    Nanoseconds modify_time {};
    Nanoseconds change_time {};
    Nanoseconds birth_time {};
};

/// What chmod, chown and utimensat change: only the members that are set.
struct AttributeChange {
    enum : u32 { Mode = 1, Uid = 2, Gid = 4, AccessTime = 8, ModifyTime = 16 };
    u32 what { 0 };
    u32 mode { 0 }; // permissions only
    u32 uid { 0 };
    u32 gid { 0 };
    Nanoseconds access_time {};
    Nanoseconds modify_time {};
};

struct DirectoryEntry {
    std::string_view name;
    u64 number { 0 };
    u8 type { 0 }; // DT_*: the type bits of the mode, shifted
    u64 next { 0 }; // position to go on at after this entry
};

/// Takes the entries of a directory, one after another, as struct linux_dirent64 records (getdents64(2)) into memory
/// that the derived class provides. One that provides none is asked about each entry.
class DirectorySink {
public:
    /// The file system has learned of an entry what a lookup would tell. The directory's mutex() is held.
    virtual void found(std::string_view, const RefPtr<Inode>&, Nanoseconds) { }
    /// False: full, this one was not taken.
    bool add(const DirectoryEntry& entry)
    {
        const usize length = record_length(entry.name.size());
        if (length > m_room.size()) [[unlikely]]
            return take(entry);
        [[clang::always_inline]] put(entry, length);
        return true;
    }

protected:
    ~DirectorySink() = default;
    /// There is no room for it: make some and add() it again, or do with it what you like.
    virtual bool take(const DirectoryEntry& entry) = 0;

    static constexpr usize k_header_size = 19;
    static constexpr usize record_length(usize name_size) { return align_up(k_header_size + name_size + 1, 8); }

    std::span<u8> m_room; // where the next record goes
    u64 m_next { 0 }; // of the last record

private:
    void put(const DirectoryEntry& entry, usize length)
    {
        const std::string_view from = entry.name;
        const std::span record = m_room.first(length);
        // The name's NUL and what aligns the next record lie in the last word.
        __builtin_memset(record.last(8).data(), 0, 8);
        __builtin_memcpy(record.data(), &entry.number, 8);
        __builtin_memcpy(record.subspan(8).data(), &entry.next, 8);
        const u32 tail = static_cast<u32>(length) | static_cast<u32>(entry.type) << 16;
        __builtin_memcpy(record.subspan(16).data(), &tail, 4); // of which the name overwrites the last byte
        const std::span to = record.subspan(k_header_size);
        // By words, the last of them overlapping the one before; a call would cost more than most names are long.
        if (from.size() >= 8) {
            for (usize i = 0; i + 8 < from.size(); i += 8)
                __builtin_memcpy(to.subspan(i).data(), from.substr(i).data(), 8);
            __builtin_memcpy(to.subspan(from.size() - 8).data(), from.substr(from.size() - 8).data(), 8);
        } else if (from.size() >= 4) {
            __builtin_memcpy(to.data(), from.data(), 4);
            __builtin_memcpy(to.subspan(from.size() - 4).data(), from.substr(from.size() - 4).data(), 4);
        } else {
            for (usize i = 0; i < from.size(); ++i)
                to[i] = static_cast<u8>(from[i]);
        }
        m_room = m_room.subspan(length);
        m_next = entry.next;
    }
};

/// A mounted file system (or one about to be).
class FileSystem : public RefCounted<FileSystem> {
public:
    virtual ~FileSystem() = default;

    /// "ramfs": what /proc/mounts shows.
    virtual std::string_view type_name() const = 0;
    virtual Result<RefPtr<Inode>> root() = 0;
    virtual Result<> statfs(abi::StatFs& statistics) = 0;
    /// All that was written reaches stable storage.
    virtual Result<> sync() { return {}; }
    /// The machine is about to end: sync(), and whatever else there is to be left in order. Nothing is written after.
    virtual Result<> shut_down() { return sync(); }
    /// Nobody uses it any more; after the last Inode has gone.
    virtual void unmounted() { }

    u64 device() const { return m_device; }
    bool is_read_only() const { return m_read_only.load(std::memory_order_relaxed); }
    void set_read_only(bool value) { m_read_only.store(value, std::memory_order_relaxed); }
    /// Names are kept by nobody else and never change behind our back: a cached name needs no check.
    virtual bool names_expire() const { return false; }

protected:
    FileSystem();

private:
    u64 m_device;
    std::atomic<bool> m_read_only { false };
};

/// A file of any type. Errors of the defaults are what Linux says where an operation makes no sense.
class Inode : public RefCounted<Inode> {
public:
    virtual ~Inode();

    FileSystem& file_system() const { return *m_file_system; }
    u64 number() const { return m_number; }
    /// S_IFREG, S_IFDIR, ...: never changes.
    u32 type() const { return m_type; }
    bool is_directory() const { return m_type == abi::k_s_ifdir; }
    bool is_regular() const { return m_type == abi::k_s_ifreg; }
    bool is_symlink() const { return m_type == abi::k_s_iflnk; }
    Mutex& mutex() RETURN_CAPABILITY(m_mutex) { return m_mutex; }

    virtual Result<> attributes(Attributes& result);
    virtual Result<> set_attributes(const AttributeChange& change);

    /// A name's inode, and until when (monotonic) the name may be used without asking again.
    struct Found {
        RefPtr<Inode> inode;
        Nanoseconds valid_until { Nanoseconds::max() };
    };
    /// ENOENT.
    virtual Result<Found> lookup(std::string_view) { return Errno::ENOTDIR; }
    /// A new file of the type in `mode`. The name is free, unless another host made it meanwhile (EEXIST).
    virtual Result<Found> create(std::string_view, u32, u64) { return Errno::EPERM; }
    virtual Result<Found> create_symlink(std::string_view, std::string_view) { return Errno::EPERM; }
    virtual Result<> link(std::string_view, Inode&) { return Errno::EPERM; }
    virtual Result<> unlink(std::string_view, Inode&) { return Errno::EPERM; }
    /// ENOTEMPTY.
    virtual Result<> remove_directory(std::string_view, Inode&) { return Errno::EPERM; }
    /// Moves `name` to `new_name` in `target`, replacing what stands there (`replaced`, or null); or exchanges the two.
    virtual Result<> rename(std::string_view, Inode&, Inode&, std::string_view, Inode*, bool) { return Errno::EPERM; }
    /// A file without a name (O_TMPFILE); link() may give it one.
    virtual Result<RefPtr<Inode>> create_unnamed(u32) { return Errno::EOPNOTSUPP; }
    /// Entries from `position` on (0: the start), "." and ".." among them. `handle` is what open_handle() gave.
    virtual Result<> read_directory(u64, u64, u64, DirectorySink&) { return Errno::ENOTDIR; }

    virtual Result<String> read_link() { return Errno::EINVAL; }
    /// Where a magic link (/proc/self/fd/0) leads; null: nowhere in particular, open() it.
    virtual bool is_magic_link() const { return false; }
    virtual Result<RefPtr<Dentry>> link_destination();

    /// An open file description. The default serves regular files, directories and what register_opener() knows.
    virtual Result<RefPtr<File>> open(Dentry& dentry, u32 flags);

    // Regular files; `handle` is of the description. The VFS holds mutex() except for read().
    virtual Result<u64> open_handle(u32) { return u64 { 0 }; }
    virtual void close_handle(u64, u32) { }
    /// A descriptor was closed: errors of what was written late are due (they are logged, close() can't tell).
    virtual void flush_handle(u64) { }
    virtual Result<usize> read(u64, u64, IoBuffer) { return Errno::EINVAL; }
    virtual Result<usize> write(u64, u64, IoBuffer) { return Errno::EINVAL; }
    virtual Result<> truncate(u64, u64) { return Errno::EINVAL; }
    virtual Result<> allocate(u64, int, u64, u64) { return Errno::EOPNOTSUPP; }
    virtual Result<> sync(u64, bool) { return {}; }
    virtual Result<u64> seek_data(u64, u64, bool) { return Errno::EINVAL; }
    /// fcntl commands of one kind of file (seals).
    virtual Result<long> control(int, u64) { return Errno::EINVAL; }
    virtual bool is_write_sealed() const { return false; }
    /// What a mapping shows; ENODEV.
    virtual Result<PageCache*> page_cache() { return Errno::ENODEV; }
    /// Size now, without asking anybody else.
    virtual u64 size();

    // Extended attributes; the default: none.
    virtual Result<usize> get_xattr(std::string_view, std::span<u8>) { return Errno::EOPNOTSUPP; }
    virtual Result<> set_xattr(std::string_view, std::span<const u8>, int) { return Errno::EOPNOTSUPP; }
    virtual Result<> remove_xattr(std::string_view) { return Errno::EOPNOTSUPP; }
    virtual Result<usize> list_xattrs(std::span<u8>) { return usize { 0 }; }

    /// The file was read or written now.
    void touch_access()
    {
        if (!m_access_is_recorded.load(std::memory_order_relaxed)) [[unlikely]]
            record_access();
    }
    void touch_modify();
    void touch_change();

    /// A directory that was removed: nothing can be created in it.
    bool is_dead() const { return m_dead.load(std::memory_order_relaxed); }
    void set_dead() { m_dead.store(true, std::memory_order_relaxed); }

    /// fcntl and flock locks, made when the first is set; null before.
    std::atomic<FileLocks*> locks { nullptr };
    /// Somebody watches it by inotify.
    std::atomic<u32> watch_count { 0 };
    /// The pipe behind a FIFO while it is open.
    std::atomic<void*> fifo { nullptr };
    u32 fifo_users { 0 }; // under the lock of fs/fifo.cpp

protected:
    Inode(FileSystem& file_system, u64 number, u32 mode);

    /// After a change of the times other than by this class's own methods.
    void times_changed() { m_access_is_recorded.store(false, std::memory_order_relaxed); }

    mutable SpinLock m_attributes_lock;
    Attributes m_attributes GUARDED_BY(m_attributes_lock);

private:
    void record_access();

    RefPtr<FileSystem> m_file_system;
    u64 m_number;
    u32 m_type;
    /// The access time is later than the last change's: a further access is not recorded.
    std::atomic<bool> m_access_is_recorded { false };
    std::atomic<bool> m_dead { false };
    Mutex m_mutex;
};

/// How files of a type that lives elsewhere are opened: character devices (devfs), FIFOs (pipes). In the image only if
/// the component that registers it is.
using Opener = Result<RefPtr<File>> (*)(Inode& inode, Dentry& dentry, u32 flags);
void register_opener(u32 type, Opener opener);

void fill_stat(const Attributes& attributes, u64 device, abi::Stat& stat);

} // namespace eremite
