#include "syscall/sys_inotify.h"

#include "file/inotify_file.h"
#include "fs/path.h"

namespace eremite {

Result<long> sys_inotify_init()
{
    return sys_inotify_init1(0);
}

Result<long> sys_inotify_init1(u32 flags)
{
    if ((flags & ~(abi::k_o_cloexec | abi::k_o_nonblock)) != 0)
        return Errno::EINVAL;
    RefPtr<File> file = TRY(InotifyFile::create(flags & abi::k_o_nonblock));
    return TRY(fd_table().install(std::move(file), (flags & abi::k_o_cloexec) != 0));
}

Result<long> sys_inotify_add_watch(int fd, UserString path, u32 mask)
{
    constexpr u32 only_directory = 0x100'0000;
    constexpr u32 dont_follow = 0x200'0000;
    BorrowedFile file(fd);
    if (!file)
        return Errno::EBADF;
    InotifyFile* inotify = InotifyFile::from(*file);
    if (!inotify)
        return Errno::EINVAL;
    RefPtr<Dentry> dentry = TRY(resolve_user(abi::k_at_fdcwd, path, (mask & dont_follow) == 0));
    if ((mask & only_directory) != 0 && !dentry->inode().is_directory())
        return Errno::ENOTDIR;
    return TRY(inotify->add_watch(dentry->inode(), mask));
}

Result<long> sys_inotify_rm_watch(int fd, int watch)
{
    BorrowedFile file(fd);
    if (!file)
        return Errno::EBADF;
    InotifyFile* inotify = InotifyFile::from(*file);
    if (!inotify)
        return Errno::EINVAL;
    TRY(inotify->remove_watch(watch));
    return 0;
}

} // namespace eremite
