#include "syscall/sys_path.h"

#include "base/component.h"
#include "file/file.h"
#include "fs/open_file.h"
#include "fs/operations.h"

namespace eremite {

namespace {

Result<long> open_and_install(int fd, UserString path, u64 flags, u32 mode, u64 resolve_flags)
{
    PathArgument name;
    TRY(name.copy(path));
    RefPtr<File> file = TRY(open_path(fd, name.view(), flags, mode, resolve_flags));
    return TRY(fd_table().install(std::move(file), (flags & abi::k_o_cloexec) != 0));
}

} // namespace

Result<long> sys_open(UserString path, u32 flags, u32 mode)
{
    return open_and_install(abi::k_at_fdcwd, path, flags, mode, 0);
}

Result<long> sys_openat(int fd, UserString path, u32 flags, u32 mode)
{
    return open_and_install(fd, path, flags, mode, 0);
}

Result<long> sys_openat2(int fd, UserString path, UserPointer<abi::OpenHow> how, usize size)
{
    constexpr u64 known_flags = abi::k_o_accmode | abi::k_o_creat | abi::k_o_excl | abi::k_o_noctty | abi::k_o_trunc
        | abi::k_o_append | abi::k_o_nonblock | abi::k_o_dsync | abi::k_o_async | abi::k_o_direct | abi::k_o_largefile
        | abi::k_o_directory | abi::k_o_nofollow | abi::k_o_noatime | abi::k_o_cloexec | abi::k_o_sync | abi::k_o_path
        | abi::k_o_tmpfile;
    if (size < sizeof(abi::OpenHow))
        return Errno::EINVAL;
    if (size > k_page_size)
        return Errno::E2BIG;
    const abi::OpenHow request = TRY(how.read());
    // A later version's fields must be zero.
    for (usize offset = sizeof(abi::OpenHow); offset < size; ++offset) {
        if (TRY(UserPointer<u8>(how.address() + offset).read()) != 0)
            return Errno::E2BIG;
    }
    const bool creates = (request.flags & (abi::k_o_creat | 020000000u)) != 0;
    if ((request.flags & ~known_flags) != 0 || (request.resolve & ~u64 { 63 }) != 0
        || (request.mode & ~u64 { 07777 }) != 0 || (!creates && request.mode != 0))
        return Errno::EINVAL;
    constexpr u64 scoped = abi::k_resolve_beneath | abi::k_resolve_in_root;
    if ((request.resolve & scoped) == scoped)
        return Errno::EINVAL;
    constexpr u64 path_flags = abi::k_o_path | abi::k_o_directory | abi::k_o_nofollow | abi::k_o_cloexec;
    if ((request.flags & abi::k_o_path) != 0 && (request.flags & ~path_flags) != 0)
        return Errno::EINVAL;
    return open_and_install(fd, path, request.flags, static_cast<u32>(request.mode), request.resolve);
}

Result<long> sys_creat(UserString path, u32 mode)
{
    return open_and_install(abi::k_at_fdcwd, path, abi::k_o_creat | abi::k_o_wronly | abi::k_o_trunc, mode, 0);
}

Result<long> sys_mkdir(UserString path, u32 mode)
{
    return sys_mkdirat(abi::k_at_fdcwd, path, mode);
}

Result<long> sys_mkdirat(int fd, UserString path, u32 mode)
{
    PathArgument name;
    TRY(name.copy(path));
    static_cast<void>(TRY(make_node(fd, name.view(), abi::k_s_ifdir | (mode & 01777), 0)));
    return 0;
}

Result<long> sys_mknod(UserString path, u32 mode, u32 device)
{
    return sys_mknodat(abi::k_at_fdcwd, path, mode, device);
}

Result<long> sys_mknodat(int fd, UserString path, u32 mode, u32 device)
{
    if ((mode & abi::k_s_ifmt) == 0)
        mode |= abi::k_s_ifreg;
    switch (mode & abi::k_s_ifmt) {
    case abi::k_s_ifdir:
        return Errno::EPERM;
    case abi::k_s_ifreg:
    case abi::k_s_ifchr:
    case abi::k_s_ifblk:
    case abi::k_s_ififo:
    case abi::k_s_ifsock:
        break;
    default:
        return Errno::EINVAL;
    }
    ER_NEEDS(fifo);
    PathArgument name;
    TRY(name.copy(path));
    static_cast<void>(TRY(make_node(fd, name.view(), mode, device)));
    return 0;
}

Result<long> sys_rmdir(UserString path)
{
    return sys_unlinkat(abi::k_at_fdcwd, path, abi::k_at_removedir);
}

Result<long> sys_unlink(UserString path)
{
    return sys_unlinkat(abi::k_at_fdcwd, path, 0);
}

Result<long> sys_unlinkat(int fd, UserString path, u32 flags)
{
    if ((flags & ~abi::k_at_removedir) != 0)
        return Errno::EINVAL;
    PathArgument name;
    TRY(name.copy(path));
    TRY(remove_path(fd, name.view(), flags != 0));
    return 0;
}

Result<long> sys_rename(UserString from, UserString to)
{
    return sys_renameat2(abi::k_at_fdcwd, from, abi::k_at_fdcwd, to, 0);
}

Result<long> sys_renameat(int from_fd, UserString from, int to_fd, UserString to)
{
    return sys_renameat2(from_fd, from, to_fd, to, 0);
}

Result<long> sys_renameat2(int from_fd, UserString from, int to_fd, UserString to, u32 flags)
{
    PathArgument from_name;
    PathArgument to_name;
    TRY(from_name.copy(from));
    TRY(to_name.copy(to));
    TRY(rename_path(from_fd, from_name.view(), to_fd, to_name.view(), flags));
    return 0;
}

Result<long> sys_link(UserString from, UserString to)
{
    return sys_linkat(abi::k_at_fdcwd, from, abi::k_at_fdcwd, to, 0);
}

Result<long> sys_linkat(int from_fd, UserString from, int to_fd, UserString to, u32 flags)
{
    if ((flags & ~(abi::k_at_symlink_follow | abi::k_at_empty_path)) != 0)
        return Errno::EINVAL;
    RefPtr<Dentry> existing = TRY(
        resolve_user(from_fd, from, (flags & abi::k_at_symlink_follow) != 0, (flags & abi::k_at_empty_path) != 0));
    PathArgument name;
    TRY(name.copy(to));
    TRY(make_link(*existing, to_fd, name.view()));
    return 0;
}

Result<long> sys_symlink(UserString target, UserString path)
{
    return sys_symlinkat(target, abi::k_at_fdcwd, path);
}

Result<long> sys_symlinkat(UserString target, int fd, UserString path)
{
    PathArgument text;
    PathArgument name;
    TRY(text.copy(target));
    TRY(name.copy(path));
    TRY(make_symlink(text.view(), fd, name.view()));
    return 0;
}

Result<long> sys_readlink(UserString path, UserPointer<u8> buffer, isize size)
{
    return sys_readlinkat(abi::k_at_fdcwd, path, buffer, size);
}

Result<long> sys_readlinkat(int fd, UserString path, UserPointer<u8> buffer, isize size)
{
    if (size <= 0)
        return Errno::EINVAL;
    RefPtr<Dentry> dentry = TRY(resolve_user(fd, path, false, true));
    if (!dentry->inode().is_symlink())
        return Errno::EINVAL;
    String target = TRY(dentry->inode().read_link());
    const std::string_view text = target.view().substr(0, static_cast<usize>(size));
    TRY(copy_to_user(buffer.address(), text.data(), text.size()));
    return static_cast<long>(text.size());
}

Result<long> sys_truncate(UserString path, i64 length)
{
    if (length < 0)
        return Errno::EINVAL;
    RefPtr<Dentry> dentry = TRY(resolve_user(abi::k_at_fdcwd, path, true));
    TRY(truncate_inode(dentry->inode(), 0, static_cast<u64>(length)));
    notify_file_event(*dentry, k_in_modify);
    return 0;
}

} // namespace eremite
