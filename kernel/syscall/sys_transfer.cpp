#include "syscall/sys_transfer.h"

#include "file/pipe.h"
#include "fs/open_file.h"
#include "fs/path.h"
#include "fs/ramfs.h"
#include "syscall/sys_file.h"

#include <algorithm>

namespace eremite {

namespace {

constexpr usize k_chunk = 64_KiB;

/// One side of a transfer: a file at its position or at a given offset.
class Side {
public:
    explicit Side(File& file)
        : m_file(file)
    {
    }
    /// From `offset`, if it isn't null.
    Result<> set_offset(UserPointer<i64> offset)
    {
        m_pointer = offset;
        if (!offset)
            return {};
        if (m_file.pipe())
            return Errno::ESPIPE;
        m_offset = TRY(offset.read());
        return m_offset < 0 ? Result<>(Errno::EINVAL) : Result<>();
    }
    Result<usize> read(std::span<u8> buffer)
    {
        return advance(has_offset() ? m_file.read_at(buffer, position()) : m_file.read(buffer));
    }
    Result<usize> write(std::span<u8> buffer)
    {
        return advance(has_offset() ? m_file.write_at(buffer, position()) : m_file.write(buffer));
    }
    /// Gives back what was read and couldn't be written.
    void rewind(usize count)
    {
        if (has_offset())
            m_offset -= static_cast<i64>(count);
        else
            static_cast<void>(m_file.seek(-static_cast<i64>(count), abi::k_seek_cur).is_error());
    }
    Result<> store() { return m_pointer ? m_pointer.write(m_offset) : Result<>(); }

private:
    bool has_offset() const { return !m_pointer.is_null(); }
    u64 position() const { return static_cast<u64>(m_offset); }
    Result<usize> advance(Result<usize> result)
    {
        if (!result.is_error())
            m_offset += static_cast<i64>(result.value());
        return result;
    }

    File& m_file;
    UserPointer<i64> m_pointer;
    i64 m_offset { 0 };
};

Result<long> move(Side& in, Side& out, usize count)
{
    Vector<u8> buffer;
    TRY(buffer.try_resize(std::min(count, k_chunk)));
    usize total = 0;
    while (total < count) {
        auto got = in.read(buffer.span().first(std::min(buffer.size(), count - total)));
        if (got.is_error()) {
            if (total != 0)
                break;
            return got.error();
        }
        if (got.value() == 0)
            break;
        usize written = 0;
        Result<usize> put = 0;
        while (written < got.value()) {
            put = out.write(buffer.span().subspan(written, got.value() - written));
            if (put.is_error() || put.value() == 0)
                break;
            written += put.value();
        }
        total += written;
        if (written < got.value()) {
            in.rewind(got.value() - written);
            if (total == 0 && put.is_error())
                return put.error();
            break;
        }
        if (got.value() < std::min(buffer.size(), count))
            break; // a pipe or socket gave what it had
    }
    TRY(in.store());
    TRY(out.store());
    return static_cast<long>(total);
}

Result<> check_pair(const BorrowedFile& in, const BorrowedFile& out)
{
    if (!in || !out || !in->is_readable() || !out->is_writable() || ((in->flags() | out->flags()) & abi::k_o_path) != 0)
        return Errno::EBADF;
    return {};
}

} // namespace

Result<long> sys_sendfile(int out_fd, int in_fd, UserPointer<i64> offset, usize count)
{
    ER_NEEDS(terminal);
    BorrowedFile in(in_fd);
    BorrowedFile out(out_fd);
    TRY(check_pair(in, out));
    if ((out->flags() & abi::k_o_append) != 0 || (in->inode() && in->inode()->is_directory()))
        return Errno::EINVAL;
    Side from(*in);
    Side to(*out);
    TRY(from.set_offset(offset));
    return move(from, to, std::min(count, abi::k_max_transfer));
}

Result<long> sys_copy_file_range(
    int in_fd, UserPointer<i64> in_offset, int out_fd, UserPointer<i64> out_offset, usize count, u32 flags)
{
    if (flags != 0)
        return Errno::EINVAL;
    BorrowedFile in(in_fd);
    BorrowedFile out(out_fd);
    TRY(check_pair(in, out));
    if ((out->flags() & abi::k_o_append) != 0)
        return Errno::EBADF;
    for (File* file : { &*in, &*out }) {
        if (!file->inode())
            return Errno::EINVAL;
        if (!file->inode()->is_regular())
            return file->inode()->is_directory() ? Errno::EISDIR : Errno::EINVAL;
    }
    Side from(*in);
    Side to(*out);
    TRY(from.set_offset(in_offset));
    TRY(to.set_offset(out_offset));
    if (in->inode() == out->inode()) {
        const u64 source = in_offset ? static_cast<u64>(TRY(in_offset.read())) : TRY(in->seek(0, abi::k_seek_cur));
        const u64 target = out_offset ? static_cast<u64>(TRY(out_offset.read())) : TRY(out->seek(0, abi::k_seek_cur));
        if (source < target + count && target < source + count)
            return Errno::EINVAL;
    }
    return move(from, to, std::min(count, abi::k_max_transfer));
}

Result<long> sys_splice(
    int in_fd, UserPointer<i64> in_offset, int out_fd, UserPointer<i64> out_offset, usize count, u32 flags)
{
    ER_NEEDS(terminal);
    constexpr u32 nonblocking = 2;
    if ((flags & ~15u) != 0)
        return Errno::EINVAL;
    if (count == 0)
        return 0;
    BorrowedFile in(in_fd);
    BorrowedFile out(out_fd);
    TRY(check_pair(in, out));
    Pipe* from_pipe = in->pipe();
    Pipe* to_pipe = out->pipe();
    if ((!from_pipe && !to_pipe) || from_pipe == to_pipe)
        return Errno::EINVAL;
    Side from(*in);
    Side to(*out);
    TRY(from.set_offset(in_offset));
    TRY(to.set_offset(out_offset));
    if (from_pipe && (flags & nonblocking) != 0 && from_pipe->available() == 0 && from_pipe->has_writers())
        return Errno::EAGAIN;
    if (to_pipe) {
        // What is taken from the other side must fit, for it can't always be given back.
        const usize room = to_pipe->capacity() - to_pipe->available();
        if (room == 0 && ((flags & nonblocking) != 0 || out->is_nonblocking()))
            return Errno::EAGAIN;
        count = std::min(count, std::max<usize>(room, 1));
    }
    return move(from, to, std::min(count, k_chunk));
}

Result<long> sys_tee(int in_fd, int out_fd, usize count, u32 flags)
{
    if ((flags & ~15u) != 0)
        return Errno::EINVAL;
    BorrowedFile in(in_fd);
    BorrowedFile out(out_fd);
    TRY(check_pair(in, out));
    Pipe* from = in->pipe();
    Pipe* to = out->pipe();
    if (!from || !to || from == to)
        return Errno::EINVAL;
    Vector<u8> buffer;
    TRY(buffer.try_resize(std::min(count, k_chunk)));
    const usize got = TRY(from->peek(buffer.span()));
    if (got == 0)
        return 0;
    return static_cast<long>(TRY(to->write(buffer.span().first(got), (flags & 2) != 0)));
}

Result<long> sys_vmsplice(int fd, UserPointer<abi::IoVector> vectors, usize count, u32 flags)
{
    if ((flags & ~15u) != 0)
        return Errno::EINVAL;
    BorrowedFile file(fd);
    if (!file || !file->pipe())
        return Errno::EBADF;
    return file->is_writable() ? sys_writev(fd, vectors, count) : sys_readv(fd, vectors, count);
}

Result<long> sys_memfd_create(UserString name, u32 flags)
{
    constexpr u32 close_on_exec = 1;
    constexpr u32 allow_sealing = 2;
    constexpr u32 noexec_seal = 8;
    constexpr u32 exec = 16;
    if ((flags & ~(close_on_exec | allow_sealing | noexec_seal | exec)) != 0)
        return Errno::EINVAL; // huge pages among them
    auto text = name.copy(249);
    if (text.is_error())
        return text.error() == Errno::ENAMETOOLONG ? Errno::EINVAL : text.error();
    // Each is a file system of one file, gone with it.
    RefPtr<RamFileSystem> file_system = TRY(RamFileSystem::create("tmpfs", UINT64_MAX));
    RefPtr<RamFile> file = TRY(file_system->create_file(0777));
    file_system->unmounted();
    file->change_link_count(-1);
    file->allow_sealing((flags & allow_sealing) != 0);
    RefPtr<Dentry> dentry = TRY(DentryCache::create_memory_file(RefPtr<Inode>(file), text.value()));
    RefPtr<File> opened = TRY(file->open(*dentry, abi::k_o_rdwr | abi::k_o_largefile));
    return TRY(fd_table().install(std::move(opened), (flags & close_on_exec) != 0));
}

} // namespace eremite
