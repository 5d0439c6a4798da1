// Open file descriptions of files in a file system: regular files, directories, and O_PATH handles of anything.
#pragma once

#include "file/file.h"
#include "fs/dentry.h"

namespace eremite {

/// What they have in common: an inode, and the name by which it was opened.
class InodeFile : public File {
public:
    Result<> stat(abi::Stat& stat) override;
    Result<> sync(bool data_only) override;
    Result<String> description() override;
    Inode* inode() override { return m_inode.get(); }
    Dentry* dentry() override { return m_dentry.get(); }
    bool can_poll() const override { return false; }

protected:
    InodeFile(Inode& inode, Dentry& dentry, u32 flags);
    ~InodeFile() override;

    RefPtr<Inode> m_inode;
    RefPtr<Dentry> m_dentry;
};

class RegularFile final : public InodeFile {
public:
    static Result<RefPtr<File>> open(Inode& inode, Dentry& dentry, u32 flags);
    ~RegularFile() override;

    Result<usize> read(IoBuffer buffer) override;
    Result<usize> write(IoBuffer buffer) override;
    Result<usize> read_at(IoBuffer buffer, u64 offset) override;
    Result<usize> write_at(IoBuffer buffer, u64 offset) override;
    Result<u64> seek(i64 offset, int whence) override;
    Result<> truncate(u64 length) override;
    Result<> allocate(int mode, u64 offset, u64 length) override;
    Result<> sync(bool data_only) override;
    Result<long> ioctl(u32 request, u64 argument) override;
    Result<> lock(int command, abi::FileLock& lock) override;
    Result<long> control(int command, u64 argument) override;
    Result<MemoryObject*> memory_object() override;
    bool is_write_sealed() override { return m_inode->is_write_sealed(); }
    void descriptor_closed() override;

private:
    template<typename T, typename... Arguments> friend Result<RefPtr<T>> make_ref(Arguments&&...);
    RegularFile(Inode& inode, Dentry& dentry, u32 flags, u64 handle)
        : InodeFile(inode, dentry, flags)
        , m_handle(handle)
    {
    }
    Result<usize> write_locked(IoBuffer buffer, u64 offset) REQUIRES(m_inode->mutex());

    u64 m_handle;
    Mutex m_position_lock;
    u64 m_position GUARDED_BY(m_position_lock) { 0 };
};

class DirectoryFile final : public InodeFile {
public:
    static Result<RefPtr<File>> open(Inode& inode, Dentry& dentry, u32 flags);
    ~DirectoryFile() override;

    Result<usize> read(IoBuffer) override { return Errno::EISDIR; }
    Result<usize> read_at(IoBuffer, u64) override { return Errno::EISDIR; }
    Result<u64> seek(i64 offset, int whence) override;
    Result<usize> read_directory(IoBuffer buffer) override;
    Result<> lock(int command, abi::FileLock& lock) override;

private:
    template<typename T, typename... Arguments> friend Result<RefPtr<T>> make_ref(Arguments&&...);
    DirectoryFile(Inode& inode, Dentry& dentry, u32 flags, u64 handle)
        : InodeFile(inode, dentry, flags)
        , m_handle(handle)
    {
    }

    u64 m_handle;
    Mutex m_position_lock;
    u64 m_position GUARDED_BY(m_position_lock) { 0 };
};

/// O_PATH: names a file without opening it.
class PathFile final : public InodeFile {
public:
    static Result<RefPtr<File>> open(Inode& inode, Dentry& dentry, u32 flags);

private:
    template<typename T, typename... Arguments> friend Result<RefPtr<T>> make_ref(Arguments&&...);
    using InodeFile::InodeFile;
};

/// Changes the size under the file's lock, for truncate(2) and O_TRUNC. EROFS, EINVAL, EISDIR.
Result<> truncate_inode(Inode& inode, u64 handle, u64 length);

/// inotify's ear: called for what happens to `inode`, or under `name` in it. Null until somebody watches.
using FileEventHook = void (*)(Inode& inode, u32 mask, std::string_view name, u32 cookie);
extern constinit std::atomic<FileEventHook> g_file_event_hook;

inline constexpr u32 k_in_access = 1;
inline constexpr u32 k_in_modify = 2;
inline constexpr u32 k_in_attrib = 4;
inline constexpr u32 k_in_close_write = 8;
inline constexpr u32 k_in_close_nowrite = 0x10;
inline constexpr u32 k_in_open = 0x20;
inline constexpr u32 k_in_moved_from = 0x40;
inline constexpr u32 k_in_moved_to = 0x80;
inline constexpr u32 k_in_create = 0x100;
inline constexpr u32 k_in_delete = 0x200;
inline constexpr u32 k_in_delete_self = 0x400;
inline constexpr u32 k_in_move_self = 0x800;
inline constexpr u32 k_in_isdir = 0x4000'0000;

/// Something happened under `name` in the directory `inode`, or to `inode` itself.
inline void notify_event(Inode& inode, u32 mask, std::string_view name = {}, u32 cookie = 0)
{
    if (FileEventHook hook = g_file_event_hook.load(std::memory_order_relaxed)) [[unlikely]]
        hook(inode, mask, name, cookie);
}
/// Something happened to the file itself: told to those who watch it and to those who watch its directory.
void tell_file_event(Dentry& dentry, u32 mask);
inline void notify_file_event(Dentry& dentry, u32 mask)
{
    if (g_file_event_hook.load(std::memory_order_relaxed)) [[unlikely]]
        tell_file_event(dentry, mask);
}

} // namespace eremite
