#include "file/file.h"

#include <algorithm>

namespace eremite {

[[clang::no_destroy]] constinit FdTable g_fd_table;

File* BorrowedFile::share(int fd)
{
    auto file = fd_table().get(fd);
    return file.is_error() ? nullptr : file.release_value().leak();
}

Result<RefPtr<File>> FdTable::get(int fd)
{
    Locked lock(m_lock);
    File* file = peek(fd);
    if (!file)
        return Errno::EBADF;
    return RefPtr<File>(file);
}

Result<int> FdTable::install(RefPtr<File> file, bool close_on_exec, int minimum)
{
    const u32 maximum = limit();
    if (minimum < 0 || static_cast<u32>(minimum) >= maximum)
        return minimum == 0 ? Errno::EMFILE : Errno::EINVAL;
    // What the table outgrows is freed after the lock is released.
    Locked lock(m_lock);
    u32 fd = std::max(static_cast<u32>(minimum), m_lowest_free);
    while (fd < m_slots.size() && m_slots[fd].file)
        ++fd;
    if (fd >= maximum)
        return Errno::EMFILE;
    if (fd >= m_slots.size()) {
        TRY(m_slots.try_reserve(std::max<usize>(8, align_up(fd + 1, 64))));
        TRY(m_slots.try_resize(fd + 1));
    }
    if (static_cast<u32>(minimum) <= m_lowest_free)
        m_lowest_free = fd + 1;
    m_slots[fd] = Slot { std::move(file), close_on_exec };
    return static_cast<int>(fd);
}

Result<> FdTable::install_at(int fd, RefPtr<File> file, bool close_on_exec)
{
    const auto index = static_cast<u32>(fd);
    if (fd < 0 || index >= limit())
        return Errno::EBADF;
    RefPtr<File> previous;
    {
        Locked lock(m_lock);
        if (index >= m_slots.size())
            TRY(m_slots.try_resize(index + 1));
        previous = std::move(m_slots[index].file);
        m_slots[index] = Slot { std::move(file), close_on_exec };
    }
    if (previous)
        previous->descriptor_closed();
    return {};
}

RefPtr<File> FdTable::take(u32 fd)
{
    if (fd >= m_slots.size())
        return nullptr;
    RefPtr<File> file = std::move(m_slots[fd].file);
    if (file)
        m_lowest_free = std::min(m_lowest_free, fd);
    return file;
}

Result<> FdTable::close(int fd)
{
    RefPtr<File> file;
    {
        Locked lock(m_lock);
        file = take(static_cast<u32>(fd));
    }
    if (!file)
        return Errno::EBADF;
    file->descriptor_closed();
    return {};
}

void FdTable::close_range(u32 first, u32 last, bool only_set_close_on_exec)
{
    for (int fd = next_open(static_cast<int>(std::min(first, k_hard_limit))); fd >= 0 && static_cast<u32>(fd) <= last;
        fd = next_open(fd + 1)) {
        // Another thread may have closed it meanwhile: nothing left to do then.
        static_cast<void>(only_set_close_on_exec ? set_close_on_exec(fd, true) : close(fd));
    }
}

Result<bool> FdTable::close_on_exec(int fd)
{
    Locked lock(m_lock);
    if (!peek(fd))
        return Errno::EBADF;
    return m_slots[static_cast<u32>(fd)].close_on_exec;
}

Result<> FdTable::set_close_on_exec(int fd, bool value)
{
    Locked lock(m_lock);
    if (!peek(fd))
        return Errno::EBADF;
    m_slots[static_cast<u32>(fd)].close_on_exec = value;
    return {};
}

void FdTable::set_limit(u32 limit)
{
    m_limit.store(std::min(limit, k_hard_limit), std::memory_order_relaxed);
}

u32 FdTable::limit() const
{
    return m_limit.load(std::memory_order_relaxed);
}

int FdTable::next_open(int fd)
{
    Locked lock(m_lock);
    for (usize i = static_cast<u32>(fd); i < m_slots.size(); ++i) {
        if (m_slots[i].file)
            return static_cast<int>(i);
    }
    return -1;
}

namespace {

/// Moves one vector after another by `move`; an error after something has been moved is kept for the next call.
template<typename Move> Result<usize> move_vectors(std::span<const abi::IoVector> vectors, Move move)
{
    usize total = 0;
    for (const abi::IoVector& vector : vectors) {
        if (vector.length == 0)
            continue;
        Result<usize> moved = move(UserBytes(vector.base, vector.length));
        if (moved.is_error()) {
            if (total != 0)
                break;
            return moved;
        }
        total += moved.value();
        if (moved.value() < vector.length)
            break;
    }
    return total;
}

} // namespace

Result<usize> File::read_vector(std::span<const abi::IoVector> vectors)
{
    return move_vectors(vectors, [this](UserBytes buffer) { return read(buffer); });
}

Result<usize> File::write_vector(std::span<const abi::IoVector> vectors)
{
    return move_vectors(vectors, [this](UserBytes buffer) { return write(buffer); });
}

} // namespace eremite
