// What is mounted where, and the kinds of file systems that can be.
#pragma once

#include "base/intrusive.h"
#include "fs/dentry.h"

namespace eremite {

/// A kind of file system; registered by its component, for mount(2) and the `mount=` option.
struct FileSystemType {
    std::string_view name;
    /// `source` is the device or tag, `options` what mount(2) passes as data.
    Result<RefPtr<FileSystem>> (*mount)(std::string_view source, std::string_view options);
    FileSystemType* next { nullptr };
};
void register_file_system_type(FileSystemType& type);
/// Null if the image has none of that name.
FileSystemType* find_file_system_type(std::string_view name);

/// One mounted file system.
struct Mount {
    ListHook hook;
    RefPtr<FileSystem> file_system;
    RefPtr<Dentry> root;
    RefPtr<Dentry> point; // null: the root of everything
    String source;
};

class Mounts {
public:
    /// Mounts the root of everything; once.
    static Result<RefPtr<Dentry>> mount_root(RefPtr<FileSystem> file_system, std::string_view source);
    /// ENOTDIR, ENOMEM.
    static Result<> mount(RefPtr<FileSystem> file_system, Dentry& point, std::string_view source);
    /// `root` is the root of what is mounted. EBUSY (unless `lazily`), EINVAL.
    static Result<> unmount(Dentry& root, bool lazily);
    /// Flushes all of them; the first error.
    static Result<> sync_all();
    /// Likewise, for good: the machine is about to end.
    static Result<> shut_down_all();
    /// Calls visit(Mount&) for each, in order, under the table's lock.
    template<typename Visit> static void for_each(Visit visit)
    {
        Locked lock(s_lock);
        for (Mount& mount : list())
            visit(mount);
    }

private:
    using MountList = List<Mount, &Mount::hook>;
    static MountList& list() REQUIRES(s_lock);
    static Result<> add(
        RefPtr<FileSystem> file_system, RefPtr<Dentry> root, RefPtr<Dentry> point, std::string_view source);
    static Mutex s_lock;
};

/// How much a file system in memory may hold unless told otherwise: half of the memory.
u64 default_memory_limit();

} // namespace eremite
