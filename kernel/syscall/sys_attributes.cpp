#include "syscall/sys_attributes.h"

#include "file/file.h"
#include "fs/mount.h"
#include "fs/open_file.h"
#include "fs/path.h"
#include "sched/clock.h"
#include <algorithm>

namespace eremite {

namespace {

constexpr u32 k_no_change = ~u32 { 0 };

Result<> store_stat(Inode& inode, UserPointer<abi::Stat> stat)
{
    Attributes attributes;
    TRY(inode.attributes(attributes));
    abi::Stat result {};
    fill_stat(attributes, inode.file_system().device(), result);
    return stat.write(result);
}

/// Changes attributes and tells who watches.
Result<> change(Dentry& dentry, const AttributeChange& wanted)
{
    Inode& inode = dentry.inode();
    if (inode.file_system().is_read_only())
        return Errno::EROFS;
    TRY(inode.set_attributes(wanted));
    notify_file_event(dentry, k_in_attrib);
    return {};
}

/// The dentry behind a descriptor that isn't O_PATH.
Result<RefPtr<Dentry>> dentry_of(int fd)
{
    BorrowedFile file(fd);
    if (!file || (file->flags() & abi::k_o_path) != 0)
        return Errno::EBADF;
    if (!file->dentry())
        return Errno::EINVAL;
    return RefPtr<Dentry>(file->dentry());
}

Result<> change_owner(Dentry& dentry, u32 uid, u32 gid)
{
    AttributeChange wanted;
    if (uid != k_no_change) {
        wanted.what |= AttributeChange::Uid;
        wanted.uid = uid;
    }
    if (gid != k_no_change) {
        wanted.what |= AttributeChange::Gid;
        wanted.gid = gid;
    }
    if (!dentry.inode().is_directory()) {
        // A new owner doesn't inherit set-user-ID and set-group-ID (chown(2)).
        Attributes attributes;
        TRY(dentry.inode().attributes(attributes));
        u32 mode = attributes.mode & 07777;
        if ((mode & 04000) != 0 || (mode & 02010) == 02010) {
            mode &= ~u32 { 04000 };
            if ((mode & 010) != 0)
                mode &= ~u32 { 02000 };
            wanted.what |= AttributeChange::Mode;
            wanted.mode = mode;
        }
    }
    return change(dentry, wanted);
}

Nanoseconds to_nanoseconds(const abi::TimeSpec& time)
{
    // What 64 bits of nanoseconds can't hold (before 1678, after 2262) is clamped.
    return Nanoseconds::from_seconds(std::clamp<i64>(time.seconds, -9'000'000'000, 9'000'000'000))
        + Nanoseconds(time.nanoseconds);
}

Result<> change_times(Dentry& dentry, const abi::TimeSpec& access, const abi::TimeSpec& modify)
{
    AttributeChange wanted;
    const auto apply = [](const abi::TimeSpec& time, Nanoseconds& target, u32 bit, u32& what) -> Result<> {
        if (time.nanoseconds == abi::k_utime_omit)
            return {};
        if (time.nanoseconds == abi::k_utime_now)
            target = realtime_now();
        else if (time.nanoseconds < 0 || time.nanoseconds > 999'999'999)
            return Errno::EINVAL;
        else
            target = to_nanoseconds(time);
        what |= bit;
        return {};
    };
    TRY(apply(access, wanted.access_time, AttributeChange::AccessTime, wanted.what));
    TRY(apply(modify, wanted.modify_time, AttributeChange::ModifyTime, wanted.what));
    if (wanted.what == 0)
        return {};
    return change(dentry, wanted);
}

Result<> change_times_micro(Dentry& dentry, UserPointer<abi::TimeVal> times)
{
    abi::TimeSpec access { 0, abi::k_utime_now };
    abi::TimeSpec modify = access;
    if (times) {
        const abi::TimeVal first = TRY(times.read());
        const abi::TimeVal second = TRY(times.at(1).read());
        for (const abi::TimeVal& time : { first, second }) {
            if (time.microseconds < 0 || time.microseconds >= 1'000'000)
                return Errno::EINVAL;
        }
        access = { first.seconds, first.microseconds * 1000 };
        modify = { second.seconds, second.microseconds * 1000 };
    }
    return change_times(dentry, access, modify);
}

} // namespace

Result<long> sys_stat(UserString path, UserPointer<abi::Stat> stat)
{
    RefPtr<Dentry> dentry = TRY(resolve_user(abi::k_at_fdcwd, path, true));
    TRY(store_stat(dentry->inode(), stat));
    return 0;
}

Result<long> sys_lstat(UserString path, UserPointer<abi::Stat> stat)
{
    RefPtr<Dentry> dentry = TRY(resolve_user(abi::k_at_fdcwd, path, false));
    TRY(store_stat(dentry->inode(), stat));
    return 0;
}

Result<long> sys_newfstatat(int fd, UserString path, UserPointer<abi::Stat> stat, u32 flags)
{
    if ((flags & ~(abi::k_at_symlink_nofollow | abi::k_at_no_automount | abi::k_at_empty_path)) != 0)
        return Errno::EINVAL;
    PathArgument name;
    TRY(name.copy(path));
    if (name.view().empty() && (flags & abi::k_at_empty_path) != 0 && fd != abi::k_at_fdcwd) {
        // Any file, also one that has no place in the tree.
        BorrowedFile file(fd);
        if (!file)
            return Errno::EBADF;
        abi::Stat result {};
        TRY(file->stat(result));
        TRY(stat.write(result));
        return 0;
    }
    RefPtr<Dentry> dentry = name.view().empty() && (flags & abi::k_at_empty_path) != 0
        ? fs_context().current()
        : TRY(resolve(fd, name.view(), (flags & abi::k_at_symlink_nofollow) == 0));
    TRY(store_stat(dentry->inode(), stat));
    return 0;
}

namespace {

abi::StatxTime to_statx(Nanoseconds time)
{
    i64 seconds = time.value() / 1'000'000'000;
    i64 rest = time.value() % 1'000'000'000;
    if (rest < 0) {
        rest += 1'000'000'000;
        --seconds;
    }
    return { .seconds = seconds, .nanoseconds = static_cast<u32>(rest) };
}

/// Of Linux's encoding in stat (new_encode_dev).
u32 major_of(u64 device)
{
    return static_cast<u32>((device >> 8 & 0xfff) | (device >> 32 & ~u64 { 0xfff }));
}
u32 minor_of(u64 device)
{
    return static_cast<u32>((device & 0xff) | (device >> 12 & ~u64 { 0xff }));
}

} // namespace

Result<long> sys_statx(int fd, UserString path, u32 flags, u32 mask, UserPointer<abi::Statx> statx)
{
    constexpr u32 sync_types = 0x6000;
    constexpr u32 known = abi::k_at_symlink_nofollow | abi::k_at_no_automount | abi::k_at_empty_path | sync_types;
    if ((flags & ~known) != 0 || (flags & sync_types) == sync_types || (mask & 0x8000'0000) != 0)
        return Errno::EINVAL;
    PathArgument name;
    TRY(name.copy(path));
    abi::Statx result {};
    abi::Stat stat {};
    if (name.view().empty() && (flags & abi::k_at_empty_path) != 0 && fd != abi::k_at_fdcwd) {
        BorrowedFile file(fd);
        if (!file)
            return Errno::EBADF;
        TRY(file->stat(stat));
        if (Inode* inode = file->inode()) {
            Attributes attributes;
            TRY(inode->attributes(attributes));
            result.birth_time = to_statx(attributes.birth_time);
            result.mask |= 0x800;
        }
    } else {
        RefPtr<Dentry> dentry = TRY(
            resolve_user(fd, path, (flags & abi::k_at_symlink_nofollow) == 0, (flags & abi::k_at_empty_path) != 0));
        Attributes attributes;
        TRY(dentry->inode().attributes(attributes));
        fill_stat(attributes, dentry->inode().file_system().device(), stat);
        result.birth_time = to_statx(attributes.birth_time);
        result.mask |= 0x800;
        result.attributes_mask = 0x2000; // STATX_ATTR_MOUNT_ROOT
        if (dentry->is_file_system_root())
            result.attributes |= 0x2000;
    }
    result.mask |= 0x7ff; // STATX_BASIC_STATS
    result.block_size = static_cast<u32>(stat.block_size);
    result.link_count = static_cast<u32>(stat.link_count);
    result.uid = stat.uid;
    result.gid = stat.gid;
    result.mode = static_cast<u16>(stat.mode);
    result.inode = stat.inode;
    result.size = static_cast<u64>(stat.size);
    result.blocks = static_cast<u64>(stat.blocks);
    result.access_time = { stat.access_seconds, static_cast<u32>(stat.access_nanoseconds), 0 };
    result.modify_time = { stat.modify_seconds, static_cast<u32>(stat.modify_nanoseconds), 0 };
    result.change_time = { stat.change_seconds, static_cast<u32>(stat.change_nanoseconds), 0 };
    result.special_major = major_of(stat.special_device);
    result.special_minor = minor_of(stat.special_device);
    result.device_major = major_of(stat.device);
    result.device_minor = minor_of(stat.device);
    result.mount_id = stat.device;
    result.mask |= 0x1000; // STATX_MNT_ID
    TRY(statx.write(result));
    return 0;
}

Result<long> sys_access(UserString path, u32 mode)
{
    return sys_faccessat2(abi::k_at_fdcwd, path, mode, 0);
}

Result<long> sys_faccessat(int fd, UserString path, u32 mode)
{
    return sys_faccessat2(fd, path, mode, 0);
}

Result<long> sys_faccessat2(int fd, UserString path, u32 mode, u32 flags)
{
    constexpr u32 executable = 1;
    constexpr u32 writable = 2;
    if ((mode & ~7u) != 0 || (flags & ~(abi::k_at_eaccess | abi::k_at_symlink_nofollow | abi::k_at_empty_path)) != 0)
        return Errno::EINVAL;
    RefPtr<Dentry> dentry
        = TRY(resolve_user(fd, path, (flags & abi::k_at_symlink_nofollow) == 0, (flags & abi::k_at_empty_path) != 0));
    Inode& inode = dentry->inode();
    if ((mode & writable) != 0 && inode.file_system().is_read_only()
        && (inode.is_regular() || inode.is_directory() || inode.is_symlink()))
        return Errno::EROFS;
    // Root may do anything, except execute what nobody may.
    if ((mode & executable) != 0 && !inode.is_directory()) {
        Attributes attributes;
        TRY(inode.attributes(attributes));
        if ((attributes.mode & 0111) == 0)
            return Errno::EACCES;
    }
    return 0;
}

Result<long> sys_chmod(UserString path, u32 mode)
{
    return sys_fchmodat(abi::k_at_fdcwd, path, mode);
}

Result<long> sys_fchmod(int fd, u32 mode)
{
    RefPtr<Dentry> dentry = TRY(dentry_of(fd));
    TRY(change(*dentry, { .what = AttributeChange::Mode, .mode = mode & 07777 }));
    return 0;
}

Result<long> sys_fchmodat(int fd, UserString path, u32 mode)
{
    RefPtr<Dentry> dentry = TRY(resolve_user(fd, path, true));
    TRY(change(*dentry, { .what = AttributeChange::Mode, .mode = mode & 07777 }));
    return 0;
}

Result<long> sys_chown(UserString path, u32 uid, u32 gid)
{
    return sys_fchownat(abi::k_at_fdcwd, path, uid, gid, 0);
}

Result<long> sys_lchown(UserString path, u32 uid, u32 gid)
{
    return sys_fchownat(abi::k_at_fdcwd, path, uid, gid, abi::k_at_symlink_nofollow);
}

Result<long> sys_fchown(int fd, u32 uid, u32 gid)
{
    RefPtr<Dentry> dentry = TRY(dentry_of(fd));
    TRY(change_owner(*dentry, uid, gid));
    return 0;
}

Result<long> sys_fchownat(int fd, UserString path, u32 uid, u32 gid, u32 flags)
{
    if ((flags & ~(abi::k_at_symlink_nofollow | abi::k_at_empty_path)) != 0)
        return Errno::EINVAL;
    RefPtr<Dentry> dentry
        = TRY(resolve_user(fd, path, (flags & abi::k_at_symlink_nofollow) == 0, (flags & abi::k_at_empty_path) != 0));
    TRY(change_owner(*dentry, uid, gid));
    return 0;
}

Result<long> sys_utimensat(int fd, UserString path, UserPointer<abi::TimeSpec> times, u32 flags)
{
    if ((flags & ~(abi::k_at_symlink_nofollow | abi::k_at_empty_path)) != 0)
        return Errno::EINVAL;
    abi::TimeSpec access { 0, abi::k_utime_now };
    abi::TimeSpec modify = access;
    if (times) {
        access = TRY(times.read());
        modify = TRY(times.at(1).read());
    }
    RefPtr<Dentry> dentry;
    if (path.is_null()) {
        // futimens: the descriptor itself.
        BorrowedFile file(fd);
        if (!file)
            return Errno::EBADF;
        if (!file->dentry())
            return Errno::EINVAL;
        dentry = RefPtr<Dentry>(file->dentry());
    } else {
        dentry = TRY(
            resolve_user(fd, path, (flags & abi::k_at_symlink_nofollow) == 0, (flags & abi::k_at_empty_path) != 0));
    }
    TRY(change_times(*dentry, access, modify));
    return 0;
}

Result<long> sys_futimesat(int fd, UserString path, UserPointer<abi::TimeVal> times)
{
    RefPtr<Dentry> dentry = TRY(resolve_user(fd, path, true));
    TRY(change_times_micro(*dentry, times));
    return 0;
}

Result<long> sys_utimes(UserString path, UserPointer<abi::TimeVal> times)
{
    return sys_futimesat(abi::k_at_fdcwd, path, times);
}

Result<long> sys_utime(UserString path, UserPointer<i64> times)
{
    abi::TimeSpec access { 0, abi::k_utime_now };
    abi::TimeSpec modify = access;
    if (times) {
        access = { TRY(times.read()), 0 };
        modify = { TRY(times.at(1).read()), 0 };
    }
    RefPtr<Dentry> dentry = TRY(resolve_user(abi::k_at_fdcwd, path, true));
    TRY(change_times(*dentry, access, modify));
    return 0;
}

Result<long> sys_umask(u32 mask)
{
    return fs_context().exchange_umask(mask);
}

Result<long> sys_statfs(UserString path, UserPointer<abi::StatFs> statistics)
{
    RefPtr<Dentry> dentry = TRY(resolve_user(abi::k_at_fdcwd, path, true));
    abi::StatFs result {};
    FileSystem& file_system = dentry->inode().file_system();
    TRY(file_system.statfs(result));
    result.id = file_system.device();
    result.flags = 0x20 | (file_system.is_read_only() ? 1 : 0); // ST_VALID, ST_RDONLY
    TRY(statistics.write(result));
    return 0;
}

Result<long> sys_fstatfs(int fd, UserPointer<abi::StatFs> statistics)
{
    BorrowedFile file(fd);
    if (!file)
        return Errno::EBADF;
    abi::StatFs result {};
    if (Inode* inode = file->inode()) {
        TRY(inode->file_system().statfs(result));
        result.id = inode->file_system().device();
    } else {
        result.type = 0x50495045; // PIPEFS_MAGIC: what has no file system
        result.block_size = result.fragment_size = k_page_size;
    }
    TRY(statistics.write(result));
    return 0;
}

namespace {

constexpr usize k_max_xattr_name = 255;
constexpr usize k_max_xattr_size = 65536;

Result<String> xattr_name(UserString name)
{
    auto copied = name.copy(k_max_xattr_name);
    if (copied.is_error())
        return copied.error() == Errno::ENAMETOOLONG ? Errno::ERANGE : copied.error();
    if (copied.value().is_empty())
        return Errno::ERANGE;
    const std::string_view text = copied.value();
    for (std::string_view prefix : { "user.", "trusted.", "security.", "system." }) {
        if (text.starts_with(prefix))
            return text.size() == prefix.size() ? Result<String>(Errno::EINVAL) : std::move(copied);
    }
    return Errno::EOPNOTSUPP;
}

template<typename Fill> Result<long> fill_buffer(UserPointer<u8> target, usize size, Fill fill)
{
    Vector<u8> buffer;
    TRY(buffer.try_resize(std::min(size, k_max_xattr_size)));
    const usize length = TRY(fill(buffer.span()));
    if (size != 0)
        TRY(copy_to_user(target.address(), buffer.begin(), length));
    return static_cast<long>(length);
}

Result<long> get_xattr(Inode& inode, UserString name, UserPointer<u8> value, usize size)
{
    String text = TRY(xattr_name(name));
    return fill_buffer(value, size, [&](std::span<u8> buffer) { return inode.get_xattr(text, buffer); });
}

Result<long> set_xattr(Dentry& dentry, UserString name, UserPointer<u8> value, usize size, int flags)
{
    if ((flags & ~3) != 0)
        return Errno::EINVAL;
    if (size > k_max_xattr_size)
        return Errno::E2BIG;
    String text = TRY(xattr_name(name));
    Vector<u8> buffer;
    TRY(buffer.try_resize(size));
    TRY(copy_from_user(buffer.begin(), value.address(), size));
    if (dentry.inode().file_system().is_read_only())
        return Errno::EROFS;
    TRY(dentry.inode().set_xattr(text, buffer.span(), flags));
    dentry.inode().touch_change();
    notify_file_event(dentry, k_in_attrib);
    return 0;
}

Result<long> remove_xattr(Dentry& dentry, UserString name)
{
    String text = TRY(xattr_name(name));
    if (dentry.inode().file_system().is_read_only())
        return Errno::EROFS;
    TRY(dentry.inode().remove_xattr(text));
    dentry.inode().touch_change();
    notify_file_event(dentry, k_in_attrib);
    return 0;
}

Result<long> list_xattrs(Inode& inode, UserPointer<u8> list, usize size)
{
    return fill_buffer(list, size, [&](std::span<u8> buffer) { return inode.list_xattrs(buffer); });
}

} // namespace

Result<long> sys_getxattr(UserString path, UserString name, UserPointer<u8> value, usize size)
{
    return get_xattr(TRY(resolve_user(abi::k_at_fdcwd, path, true))->inode(), name, value, size);
}
Result<long> sys_lgetxattr(UserString path, UserString name, UserPointer<u8> value, usize size)
{
    return get_xattr(TRY(resolve_user(abi::k_at_fdcwd, path, false))->inode(), name, value, size);
}
Result<long> sys_fgetxattr(int fd, UserString name, UserPointer<u8> value, usize size)
{
    return get_xattr(TRY(dentry_of(fd))->inode(), name, value, size);
}
Result<long> sys_setxattr(UserString path, UserString name, UserPointer<u8> value, usize size, int flags)
{
    return set_xattr(*TRY(resolve_user(abi::k_at_fdcwd, path, true)), name, value, size, flags);
}
Result<long> sys_lsetxattr(UserString path, UserString name, UserPointer<u8> value, usize size, int flags)
{
    return set_xattr(*TRY(resolve_user(abi::k_at_fdcwd, path, false)), name, value, size, flags);
}
Result<long> sys_fsetxattr(int fd, UserString name, UserPointer<u8> value, usize size, int flags)
{
    return set_xattr(*TRY(dentry_of(fd)), name, value, size, flags);
}
Result<long> sys_listxattr(UserString path, UserPointer<u8> list, usize size)
{
    return list_xattrs(TRY(resolve_user(abi::k_at_fdcwd, path, true))->inode(), list, size);
}
Result<long> sys_llistxattr(UserString path, UserPointer<u8> list, usize size)
{
    return list_xattrs(TRY(resolve_user(abi::k_at_fdcwd, path, false))->inode(), list, size);
}
Result<long> sys_flistxattr(int fd, UserPointer<u8> list, usize size)
{
    return list_xattrs(TRY(dentry_of(fd))->inode(), list, size);
}
Result<long> sys_removexattr(UserString path, UserString name)
{
    return remove_xattr(*TRY(resolve_user(abi::k_at_fdcwd, path, true)), name);
}
Result<long> sys_lremovexattr(UserString path, UserString name)
{
    return remove_xattr(*TRY(resolve_user(abi::k_at_fdcwd, path, false)), name);
}
Result<long> sys_fremovexattr(int fd, UserString name)
{
    return remove_xattr(*TRY(dentry_of(fd)), name);
}

} // namespace eremite
