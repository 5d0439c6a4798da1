#include "syscall/sys_directory.h"

#include "base/component.h"
#include "base/log.h"
#include "file/file.h"
#include "fs/mount.h"
#include "fs/path.h"

namespace eremite {

Result<long> sys_getdents64(int fd, UserPointer<u8> buffer, u32 size)
{
    BorrowedFile file(fd);
    if (!file || (file->flags() & abi::k_o_path) != 0)
        return Errno::EBADF;
    return static_cast<long>(TRY(file->read_directory(UserBytes(buffer, size))));
}

Result<long> sys_chdir(UserString path)
{
    RefPtr<Dentry> dentry = TRY(resolve_user(abi::k_at_fdcwd, path, true));
    if (!dentry->inode().is_directory())
        return Errno::ENOTDIR;
    fs_context().set_current(std::move(dentry));
    return 0;
}

Result<long> sys_fchdir(int fd)
{
    BorrowedFile file(fd);
    if (!file)
        return Errno::EBADF;
    if (!file->dentry() || !file->inode()->is_directory())
        return Errno::ENOTDIR;
    fs_context().set_current(RefPtr<Dentry>(file->dentry()));
    return 0;
}

Result<long> sys_getcwd(UserPointer<u8> buffer, usize size)
{
    RefPtr<Dentry> current = fs_context().current();
    if (current->is_removed())
        return Errno::ENOENT;
    String path = TRY(path_of(*current, *fs_context().root()));
    if (size < path.size() + 1)
        return Errno::ERANGE;
    TRY(copy_to_user(buffer.address(), path.view().data(), path.size()));
    TRY(buffer.at(path.size()).write(0));
    return static_cast<long>(path.size() + 1);
}

Result<long> sys_chroot(UserString path)
{
    RefPtr<Dentry> dentry = TRY(resolve_user(abi::k_at_fdcwd, path, true));
    if (!dentry->inode().is_directory())
        return Errno::ENOTDIR;
    fs_context().set_root(std::move(dentry));
    return 0;
}

Result<long> sys_mount(UserString source, UserString target, UserString type, u64 flags, UserString data)
{
    constexpr u64 read_only = 1;
    constexpr u64 remount = 32;
    constexpr u64 harmless
        = 0x2 | 0x4 | 0x8 | 0x10 | 0x40 | 0x400 | 0x800 | 0x8000 | 0x20'0000 | 0x100'0000 | 0x200'0000;
    // The magic number that old programs put into the upper half.
    if ((flags & 0xffff'0000) == 0xc0ed'0000)
        flags &= 0xffff;
    ER_NEEDS(virtiofs);
    ER_NEEDS(ext);
    RefPtr<Dentry> point = TRY(resolve_user(abi::k_at_fdcwd, target, true));
    if ((flags & remount) != 0) {
        if (!point->is_file_system_root())
            return Errno::EINVAL;
        TRY(point->inode().file_system().sync());
        point->inode().file_system().set_read_only((flags & read_only) != 0);
        return 0;
    }
    if ((flags & ~(read_only | harmless)) != 0) {
        log_warning("mount: flags {:x}: bind mounts and mount propagation are not supported", flags);
        return Errno::EINVAL;
    }
    String type_name = TRY(type.copy(64));
    String source_name = source.is_null() ? TRY(String::create("none")) : TRY(source.copy());
    String options = data.is_null() ? String() : TRY(data.copy());
    FileSystemType* kind = find_file_system_type(type_name);
    if (!kind)
        return Errno::ENODEV;
    RefPtr<FileSystem> file_system = TRY(kind->mount(source_name, options));
    file_system->set_read_only((flags & read_only) != 0);
    TRY(Mounts::mount(std::move(file_system), *point, source_name));
    return 0;
}

Result<long> sys_umount2(UserString target, u32 flags)
{
    constexpr u32 force = 1;
    constexpr u32 detach = 2;
    constexpr u32 nofollow = 8;
    if ((flags & ~(force | detach | nofollow)) != 0)
        return Errno::EINVAL;
    RefPtr<Dentry> dentry = TRY(resolve_user(abi::k_at_fdcwd, target, (flags & nofollow) == 0));
    TRY(Mounts::unmount(*dentry, (flags & detach) != 0));
    return 0;
}

Result<long> sys_sync()
{
    if (auto synced = Mounts::sync_all(); synced.is_error())
        log_warning("files: {} while writing back", synced.error());
    return 0;
}

Result<long> sys_syncfs(int fd)
{
    BorrowedFile file(fd);
    if (!file || (file->flags() & abi::k_o_path) != 0)
        return Errno::EBADF;
    if (file->inode())
        TRY(file->inode()->file_system().sync());
    return 0;
}

} // namespace eremite
