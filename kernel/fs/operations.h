// What calls that take paths do, for system calls and for the kernel's own callers (the boot's mounts, UNIX sockets).
// Linux's manual pages say what each means; flags and modes are Linux's.
#pragma once

#include "base/component.h"
#include "fs/path.h"

namespace eremite {

/// openat2(2), without installing a descriptor.
Result<RefPtr<File>> open_path(int fd, std::string_view path, u64 flags, u32 mode, u64 resolve = 0);
/// mkdirat and mknodat: the type is in `mode`, to which the umask is applied.
Result<RefPtr<Dentry>> make_node(int fd, std::string_view path, u32 mode, u64 device);
Result<> make_symlink(std::string_view target, int fd, std::string_view path);
Result<> make_link(Dentry& existing, int fd, std::string_view path);
/// unlink, or rmdir if `directory`.
Result<> remove_path(int fd, std::string_view path, bool directory);
/// renameat2(2).
Result<> rename_path(int from_fd, std::string_view from, int to_fd, std::string_view to, u32 flags);
/// A directory and all its missing parents (mkdir -p).
Result<RefPtr<Dentry>> make_directories(std::string_view path);

/// The above for the network, which has files to write and names to make only if the image holds somebody who could
/// look at them: there if anything walks paths (fs_context()).
struct PathsPart {
    Result<RefPtr<File>> (*open_path)(int fd, std::string_view path, u64 flags, u32 mode, u64 resolve);
    Result<RefPtr<Dentry>> (*make_node)(int fd, std::string_view path, u32 mode, u64 device);
    Result<RefPtr<Dentry>> (*make_directories)(std::string_view path);
};
ER_DECLARE_PART(PathsPart, paths);

} // namespace eremite
