#include "syscall/sys_file.h"

#include "file/file.h"
#include <algorithm>

namespace eremite {

namespace {

constexpr u32 k_rwf_dsync = 2;
constexpr u32 k_rwf_sync = 4;
constexpr u32 k_rwf_nowait = 8;
constexpr u32 k_rwf_append = 16;

/// The vectors of a readv-like call, copied: few on the stack, many on the heap.
class Vectors {
public:
    Result<> copy(UserPointer<abi::IoVector> source, usize count)
    {
        if (count > abi::k_iov_max)
            return Errno::EINVAL;
        m_span = std::span(m_few).first(std::min(count, m_few.size()));
        if (count > m_few.size()) {
            TRY(m_many.try_resize(count));
            m_span = m_many.span();
        }
        TRY(UserSpan<abi::IoVector>(source, count).copy_to_kernel(m_span));
        usize total = 0;
        for (abi::IoVector& vector : m_span) {
            if (static_cast<i64>(vector.length) < 0)
                return Errno::EINVAL;
            vector.length = std::min<u64>(vector.length, abi::k_max_transfer - total);
            total += vector.length;
        }
        return {};
    }
    std::span<const abi::IoVector> span() const { return m_span; }

private:
    std::array<abi::IoVector, 8> m_few;
    Vector<abi::IoVector> m_many;
    std::span<abi::IoVector> m_span;
};

Result<> check_readable(const BorrowedFile& file)
{
    if (!file || !file->is_readable() || (file->flags() & abi::k_o_path) != 0)
        return Errno::EBADF;
    return {};
}

Result<> check_writable(const BorrowedFile& file)
{
    if (!file || !file->is_writable() || (file->flags() & abi::k_o_path) != 0)
        return Errno::EBADF;
    return {};
}

Result<> check_open(const BorrowedFile& file)
{
    if (!file || (file->flags() & abi::k_o_path) != 0)
        return Errno::EBADF;
    return {};
}

/// Moves vectors at an offset, one after another.
template<typename Move> Result<long> move_at(std::span<const abi::IoVector> vectors, u64 offset, Move move)
{
    usize total = 0;
    for (const abi::IoVector& vector : vectors) {
        if (vector.length == 0)
            continue;
        Result<usize> moved = move(UserBytes(vector.base, vector.length), offset + total);
        if (moved.is_error()) {
            if (total != 0)
                break;
            return moved.error();
        }
        total += moved.value();
        if (moved.value() < vector.length)
            break;
    }
    return static_cast<long>(total);
}

} // namespace

Result<long> sys_readv(int fd, UserPointer<abi::IoVector> vectors, usize count)
{
    ER_NEEDS(terminal);
    BorrowedFile file(fd);
    TRY(check_readable(file));
    Vectors copied;
    TRY(copied.copy(vectors, count));
    return static_cast<long>(TRY(file->read_vector(copied.span())));
}

Result<long> sys_writev(int fd, UserPointer<abi::IoVector> vectors, usize count)
{
    BorrowedFile file(fd);
    TRY(check_writable(file));
    Vectors copied;
    TRY(copied.copy(vectors, count));
    return static_cast<long>(TRY(file->write_vector(copied.span())));
}

Result<long> sys_pread64(int fd, UserPointer<u8> buffer, usize count, i64 offset)
{
    if (offset < 0)
        return Errno::EINVAL;
    BorrowedFile file(fd);
    TRY(check_readable(file));
    return static_cast<long>(
        TRY(file->read_at(UserBytes(buffer, std::min(count, abi::k_max_transfer)), static_cast<u64>(offset))));
}

Result<long> sys_pwrite64(int fd, UserPointer<u8> buffer, usize count, i64 offset)
{
    if (offset < 0)
        return Errno::EINVAL;
    BorrowedFile file(fd);
    TRY(check_writable(file));
    return static_cast<long>(
        TRY(file->write_at(UserBytes(buffer, std::min(count, abi::k_max_transfer)), static_cast<u64>(offset))));
}

Result<long> sys_preadv(int fd, UserPointer<abi::IoVector> vectors, usize count, i64 low, u64)
{
    if (low < 0)
        return Errno::EINVAL;
    return sys_preadv2(fd, vectors, count, low, 0, 0);
}

Result<long> sys_pwritev(int fd, UserPointer<abi::IoVector> vectors, usize count, i64 low, u64)
{
    if (low < 0)
        return Errno::EINVAL;
    return sys_pwritev2(fd, vectors, count, low, 0, 0);
}

Result<long> sys_preadv2(int fd, UserPointer<abi::IoVector> vectors, usize count, i64 low, u64, u32 flags)
{
    ER_NEEDS(terminal);
    if (low < -1)
        return Errno::EINVAL;
    // RWF_HIPRI (1) is a hint; the others say nothing of reading, except NOWAIT, which no file here promises.
    if ((flags & k_rwf_nowait) != 0 || flags > 31)
        return Errno::EOPNOTSUPP;
    BorrowedFile file(fd);
    TRY(check_readable(file));
    Vectors copied;
    TRY(copied.copy(vectors, count));
    if (low == -1)
        return static_cast<long>(TRY(file->read_vector(copied.span())));
    return move_at(copied.span(), static_cast<u64>(low),
        [&](UserBytes buffer, u64 offset) { return file->read_at(buffer, offset); });
}

Result<long> sys_pwritev2(int fd, UserPointer<abi::IoVector> vectors, usize count, i64 low, u64, u32 flags)
{
    if (low < -1)
        return Errno::EINVAL;
    if ((flags & (k_rwf_nowait | k_rwf_append)) != 0 || flags > 31)
        return Errno::EOPNOTSUPP;
    BorrowedFile file(fd);
    TRY(check_writable(file));
    Vectors copied;
    TRY(copied.copy(vectors, count));
    const long written = low == -1 ? static_cast<long>(TRY(file->write_vector(copied.span())))
                                   : TRY(move_at(copied.span(), static_cast<u64>(low),
                                         [&](UserBytes buffer, u64 offset) { return file->write_at(buffer, offset); }));
    if ((flags & (k_rwf_dsync | k_rwf_sync)) != 0)
        TRY(file->sync((flags & k_rwf_sync) == 0));
    return written;
}

Result<long> sys_lseek(int fd, i64 offset, int whence)
{
    BorrowedFile file(fd);
    TRY(check_open(file));
    if (whence < 0 || whence > abi::k_seek_hole)
        return Errno::EINVAL;
    return static_cast<long>(TRY(file->seek(offset, whence)));
}

Result<long> sys_close(int fd)
{
    TRY(fd_table().close(fd));
    return 0;
}

Result<long> sys_close_range(u32 first, u32 last, u32 flags)
{
    constexpr u32 k_unshare = 2;
    constexpr u32 k_cloexec = 4;
    if (first > last || (flags & ~(k_unshare | k_cloexec)) != 0)
        return Errno::EINVAL;
    fd_table().close_range(first, last, (flags & k_cloexec) != 0);
    return 0;
}

Result<long> sys_dup(int fd)
{
    return TRY(fd_table().install(TRY(fd_table().get(fd)), false));
}

Result<long> sys_dup2(int fd, int target)
{
    RefPtr<File> file = TRY(fd_table().get(fd));
    if (fd != target)
        TRY(fd_table().install_at(target, std::move(file), false));
    return target;
}

Result<long> sys_dup3(int fd, int target, int flags)
{
    if (fd == target || (static_cast<u32>(flags) & ~abi::k_o_cloexec) != 0)
        return Errno::EINVAL;
    TRY(fd_table().install_at(target, TRY(fd_table().get(fd)), flags != 0));
    return target;
}

Result<long> sys_fcntl(int fd, int command, u64 argument)
{
    BorrowedFile file(fd);
    if (!file)
        return Errno::EBADF;
    switch (command) {
    case abi::k_f_dupfd:
    case abi::k_f_dupfd_cloexec:
        return TRY(fd_table().install(file.reference(), command == abi::k_f_dupfd_cloexec, static_cast<int>(argument)));
    case abi::k_f_getfd:
        return TRY(fd_table().close_on_exec(fd)) ? abi::k_fd_cloexec : 0;
    case abi::k_f_setfd:
        TRY(fd_table().set_close_on_exec(fd, (argument & abi::k_fd_cloexec) != 0));
        return 0;
    case abi::k_f_getfl:
        return file->flags();
    default:
        break;
    }
    TRY(check_open(file));
    switch (command) {
    case abi::k_f_setfl: {
        constexpr u32 changeable
            = abi::k_o_append | abi::k_o_nonblock | abi::k_o_direct | abi::k_o_noatime | abi::k_o_async;
        TRY(file->change_flags((file->flags() & ~changeable) | (static_cast<u32>(argument) & changeable)));
        return 0;
    }
    case abi::k_f_getlk:
    case abi::k_f_setlk:
    case abi::k_f_setlkw:
    case abi::k_f_ofd_getlk:
    case abi::k_f_ofd_setlk:
    case abi::k_f_ofd_setlkw: {
        UserPointer<abi::FileLock> pointer(argument);
        abi::FileLock lock = TRY(pointer.read());
        TRY(file->lock(command, lock));
        if (command == abi::k_f_getlk || command == abi::k_f_ofd_getlk)
            TRY(pointer.write(lock));
        return 0;
    }
    case abi::k_f_setown: // signals for I/O (O_ASYNC) go to the one process there is
        return 0;
    case abi::k_f_getown:
        return k_process_id;
    default:
        return file->control(command, argument);
    }
}

Result<long> sys_ioctl(int fd, u32 request, u64 argument)
{
    BorrowedFile file(fd);
    TRY(check_open(file));
    switch (request) {
    case abi::k_fioclex:
    case abi::k_fionclex:
        TRY(fd_table().set_close_on_exec(fd, request == abi::k_fioclex));
        return 0;
    case abi::k_fionbio: {
        const int on = TRY(UserPointer<int>(argument).read());
        const u32 flags = file->flags() & ~abi::k_o_nonblock;
        TRY(file->change_flags(on != 0 ? flags | abi::k_o_nonblock : flags));
        return 0;
    }
    default:
        return file->ioctl(request, argument);
    }
}

Result<long> sys_fstat(int fd, UserPointer<abi::Stat> stat)
{
    BorrowedFile file(fd);
    if (!file)
        return Errno::EBADF;
    abi::Stat result {};
    TRY(file->stat(result));
    TRY(stat.write(result));
    return 0;
}

Result<long> sys_ftruncate(int fd, i64 length)
{
    if (length < 0)
        return Errno::EINVAL;
    BorrowedFile file(fd);
    TRY(check_open(file));
    if (!file->is_writable())
        return Errno::EINVAL;
    TRY(file->truncate(static_cast<u64>(length)));
    return 0;
}

Result<long> sys_fallocate(int fd, int mode, i64 offset, i64 length)
{
    BorrowedFile file(fd);
    TRY(check_writable(file));
    i64 end;
    if (offset < 0 || length <= 0)
        return Errno::EINVAL;
    if (__builtin_add_overflow(offset, length, &end))
        return Errno::EFBIG;
    TRY(file->allocate(mode, static_cast<u64>(offset), static_cast<u64>(length)));
    return 0;
}

Result<long> sys_fadvise64(int fd, i64, i64 length, int advice)
{
    BorrowedFile file(fd);
    TRY(check_open(file));
    abi::Stat stat {};
    TRY(file->stat(stat));
    if ((stat.mode & abi::k_s_ifmt) == abi::k_s_ififo)
        return Errno::ESPIPE;
    if (advice < 0 || advice > 5 || length < 0)
        return Errno::EINVAL;
    return 0;
}

Result<long> sys_readahead(int fd, i64, usize)
{
    BorrowedFile file(fd);
    TRY(check_readable(file));
    if (!file->inode())
        return Errno::EINVAL;
    return 0;
}

Result<long> sys_fsync(int fd)
{
    BorrowedFile file(fd);
    TRY(check_open(file));
    TRY(file->sync(false));
    return 0;
}

Result<long> sys_fdatasync(int fd)
{
    BorrowedFile file(fd);
    TRY(check_open(file));
    TRY(file->sync(true));
    return 0;
}

Result<long> sys_sync_file_range(int fd, i64 offset, i64 length, u32 flags)
{
    BorrowedFile file(fd);
    TRY(check_open(file));
    if (offset < 0 || length < 0 || (flags & ~7u) != 0)
        return Errno::EINVAL;
    if (!file->inode())
        return Errno::ESPIPE;
    TRY(file->sync(true));
    return 0;
}

Result<long> sys_flock(int fd, int operation)
{
    const int kind = operation & ~abi::k_lock_nb;
    if (kind != abi::k_lock_sh && kind != abi::k_lock_ex && kind != abi::k_lock_un)
        return Errno::EINVAL;
    BorrowedFile file(fd);
    TRY(check_open(file));
    abi::FileLock lock {};
    lock.type = static_cast<i16>(operation);
    TRY(file->lock(File::k_flock_command, lock));
    return 0;
}

} // namespace eremite
