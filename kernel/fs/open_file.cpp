#include "fs/open_file.h"

#include "fs/file_locks.h"
#include "fs/path.h"
#include "mm/page_cache.h"

namespace eremite {

constinit std::atomic<FileEventHook> g_file_event_hook { nullptr };

namespace {

constexpr u64 k_max_offset = 0x7fff'ffff'ffff'ffff;

Result<u64> add_offset(u64 base, i64 offset)
{
    i64 result;
    if (__builtin_add_overflow(static_cast<i64>(base), offset, &result))
        return Errno::EOVERFLOW;
    if (result < 0)
        return Errno::EINVAL;
    return static_cast<u64>(result);
}

} // namespace

void tell_file_event(Dentry& dentry, u32 mask)
{
    if (dentry.inode().is_directory())
        mask |= k_in_isdir;
    notify_event(dentry.inode(), mask);
    RefPtr<Dentry> parent = dentry.parent();
    auto name = dentry.name();
    if (parent && !name.is_error())
        notify_event(parent->inode(), mask, name.value());
}

InodeFile::InodeFile(Inode& inode, Dentry& dentry, u32 flags)
    : File(flags)
    , m_inode(&inode)
    , m_dentry(&dentry)
{
    notify_file_event(dentry, k_in_open);
}

InodeFile::~InodeFile()
{
    notify_file_event(*m_dentry, is_writable() ? k_in_close_write : k_in_close_nowrite);
}

Result<> InodeFile::stat(abi::Stat& stat)
{
    Attributes attributes;
    TRY(m_inode->attributes(attributes));
    fill_stat(attributes, m_inode->file_system().device(), stat);
    return {};
}

Result<> InodeFile::sync(bool data_only)
{
    return m_inode->sync(0, data_only);
}

Result<String> InodeFile::description()
{
    return path_of(*m_dentry, *fs_context().root());
}

Result<RefPtr<File>> RegularFile::open(Inode& inode, Dentry& dentry, u32 flags)
{
    const u64 handle = TRY(inode.open_handle(flags));
    auto file = make_ref<RegularFile>(inode, dentry, flags, handle);
    if (file.is_error()) {
        inode.close_handle(handle, flags);
        return file.error();
    }
    return RefPtr<File>(file.release_value());
}

RegularFile::~RegularFile()
{
    if (m_inode->locks.load(std::memory_order_relaxed))
        FileLocks::release_owner(*m_inode, this);
    m_inode->close_handle(m_handle, flags());
}

void RegularFile::descriptor_closed()
{
    if (m_inode->locks.load(std::memory_order_relaxed))
        FileLocks::release_owner(*m_inode, nullptr);
    m_inode->flush_handle(m_handle);
}

Result<usize> RegularFile::read(IoBuffer buffer)
{
    Locked lock(m_position_lock);
    const usize count = TRY(m_inode->read(m_handle, m_position, buffer));
    m_position += count;
    if (count != 0 && (flags() & abi::k_o_noatime) == 0)
        m_inode->touch_access();
    notify_file_event(*m_dentry, k_in_access);
    return count;
}

Result<usize> RegularFile::read_at(IoBuffer buffer, u64 offset)
{
    const usize count = TRY(m_inode->read(m_handle, offset, buffer));
    if (count != 0 && (flags() & abi::k_o_noatime) == 0)
        m_inode->touch_access();
    notify_file_event(*m_dentry, k_in_access);
    return count;
}

Result<usize> RegularFile::write_locked(IoBuffer buffer, u64 offset)
{
    if (buffer.is_empty())
        return 0;
    if (offset >= k_max_offset)
        return Errno::EFBIG;
    if (buffer.size() > k_max_offset - offset)
        buffer = buffer.first(k_max_offset - offset);
    const usize count = TRY(m_inode->write(m_handle, offset, buffer));
    m_inode->touch_modify();
    if ((flags() & abi::k_o_dsync) != 0)
        TRY(m_inode->sync(m_handle, (flags() & abi::k_o_sync) != abi::k_o_sync));
    notify_file_event(*m_dentry, k_in_modify);
    return count;
}

Result<usize> RegularFile::write(IoBuffer buffer)
{
    Locked position_lock(m_position_lock);
    Locked lock(m_inode->mutex());
    const u64 offset = (flags() & abi::k_o_append) != 0 ? m_inode->size() : m_position;
    const usize count = TRY(write_locked(buffer, offset));
    m_position = offset + count;
    return count;
}

Result<usize> RegularFile::write_at(IoBuffer buffer, u64 offset)
{
    Locked lock(m_inode->mutex());
    // Linux appends here as well, contrary to POSIX (pwrite(2), BUGS).
    return write_locked(buffer, (flags() & abi::k_o_append) != 0 ? m_inode->size() : offset);
}

Result<u64> RegularFile::seek(i64 offset, int whence)
{
    Locked lock(m_position_lock);
    u64 position;
    switch (whence) {
    case abi::k_seek_set:
        position = TRY(add_offset(0, offset));
        break;
    case abi::k_seek_cur:
        position = TRY(add_offset(m_position, offset));
        break;
    case abi::k_seek_end: {
        Attributes attributes;
        TRY(m_inode->attributes(attributes));
        position = TRY(add_offset(attributes.size, offset));
        break;
    }
    case abi::k_seek_data:
    case abi::k_seek_hole:
        if (offset < 0 || static_cast<u64>(offset) >= m_inode->size())
            return Errno::ENXIO;
        position = TRY(m_inode->seek_data(m_handle, static_cast<u64>(offset), whence == abi::k_seek_hole));
        break;
    default:
        return Errno::EINVAL;
    }
    m_position = position;
    return position;
}

Result<> truncate_inode(Inode& inode, u64 handle, u64 length)
{
    if (inode.is_directory())
        return Errno::EISDIR;
    if (!inode.is_regular())
        return Errno::EINVAL;
    if (inode.file_system().is_read_only())
        return Errno::EROFS;
    if (length > k_max_offset)
        return Errno::EFBIG;
    Locked lock(inode.mutex());
    TRY(inode.truncate(handle, length));
    inode.touch_modify();
    return {};
}

Result<> RegularFile::truncate(u64 length)
{
    TRY(truncate_inode(*m_inode, m_handle, length));
    notify_file_event(*m_dentry, k_in_modify);
    return {};
}

Result<> RegularFile::allocate(int mode, u64 offset, u64 length)
{
    constexpr int known = abi::k_falloc_keep_size | abi::k_falloc_punch_hole | abi::k_falloc_zero_range;
    if ((mode & ~known) != 0)
        return Errno::EOPNOTSUPP;
    if ((mode & abi::k_falloc_punch_hole) != 0 && mode != (abi::k_falloc_punch_hole | abi::k_falloc_keep_size))
        return Errno::EOPNOTSUPP;
    Locked lock(m_inode->mutex());
    TRY(m_inode->allocate(m_handle, mode, offset, length));
    m_inode->touch_modify();
    notify_file_event(*m_dentry, k_in_modify);
    return {};
}

Result<> RegularFile::sync(bool data_only)
{
    return m_inode->sync(m_handle, data_only);
}

Result<long> RegularFile::ioctl(u32 request, u64 argument)
{
    if (request != abi::k_fionread)
        return Errno::ENOTTY;
    u64 left;
    {
        Locked lock(m_position_lock);
        const u64 size = m_inode->size();
        left = size > m_position ? size - m_position : 0;
    }
    TRY(UserPointer<int>(argument).write(static_cast<int>(std::min<u64>(left, INT32_MAX))));
    return 0;
}

Result<> RegularFile::lock(int command, abi::FileLock& lock)
{
    u64 position;
    {
        Locked position_lock(m_position_lock);
        position = m_position;
    }
    return FileLocks::request(*m_inode, *this, position, command, lock);
}

Result<long> RegularFile::control(int command, u64 argument)
{
    return m_inode->control(command, argument);
}

Result<MemoryObject*> RegularFile::memory_object()
{
    return static_cast<MemoryObject*>(TRY(m_inode->page_cache()));
}

Result<RefPtr<File>> DirectoryFile::open(Inode& inode, Dentry& dentry, u32 flags)
{
    const u64 handle = TRY(inode.open_handle(flags));
    auto file = make_ref<DirectoryFile>(inode, dentry, flags, handle);
    if (file.is_error()) {
        inode.close_handle(handle, flags);
        return file.error();
    }
    return RefPtr<File>(file.release_value());
}

DirectoryFile::~DirectoryFile()
{
    if (m_inode->locks.load(std::memory_order_relaxed))
        FileLocks::release_owner(*m_inode, this);
    m_inode->close_handle(m_handle, flags());
}

Result<> DirectoryFile::lock(int command, abi::FileLock& lock)
{
    return FileLocks::request(*m_inode, *this, 0, command, lock);
}

Result<u64> DirectoryFile::seek(i64 offset, int whence)
{
    Locked lock(m_position_lock);
    if (whence == abi::k_seek_cur)
        offset += static_cast<i64>(m_position);
    else if (whence != abi::k_seek_set)
        return Errno::EINVAL;
    if (offset < 0)
        return Errno::EINVAL;
    m_position = static_cast<u64>(offset);
    return m_position;
}

namespace {

/// Records for the application, gathered so that its memory is gone to seldom.
class ApplicationSink final : public DirectorySink {
public:
    ApplicationSink(IoBuffer buffer, Dentry& directory)
        : m_buffer(buffer)
        , m_directory(directory)
    {
        m_room = std::span(m_records).first(std::min(m_records.size(), buffer.size()));
    }

    /// What is gathered, to the application. False: its memory can't be written.
    bool copy_out()
    {
        const usize gathered = static_cast<usize>(m_room.data() - m_records.data());
        if (gathered != 0) {
            if (m_buffer.subspan(m_copied).write(std::span(m_records).first(gathered)).is_error()) {
                m_fault = true;
                return false;
            }
            m_copied += gathered;
            m_position = m_next;
        }
        m_room = std::span(m_records).first(std::min(m_records.size(), m_buffer.size() - m_copied));
        return true;
    }

    void found(std::string_view name, const RefPtr<Inode>& inode, Nanoseconds valid_until) override
    {
        DentryCache::learn(m_directory, name, { inode, valid_until });
    }

    usize used() const { return m_copied; }
    bool is_full() const { return m_full; }
    bool faulted() const { return m_fault; }
    /// Where to go on after what was copied out.
    u64 position() const { return m_position; }

private:
    bool take(const DirectoryEntry& entry) override
    {
        if (!copy_out())
            return false;
        if (entry.name.size() > abi::k_name_max || record_length(entry.name.size()) > m_room.size()) {
            m_full = true;
            return false;
        }
        return add(entry);
    }

    IoBuffer m_buffer;
    Dentry& m_directory;
    usize m_copied { 0 };
    u64 m_position { 0 };
    bool m_full { false };
    bool m_fault { false };
    std::array<u8, 1024> m_records;
};

} // namespace

Result<usize> DirectoryFile::read_directory(IoBuffer buffer)
{
    Locked lock(m_position_lock);
    if (m_inode->is_dead())
        return Errno::ENOENT;
    RefPtr<Dentry> parent = m_dentry->parent();
    Dentry* covered = m_dentry->covered();
    const u64 parent_number = parent ? parent->inode().number()
        : covered ? covered->parent() ? covered->parent()->inode().number() : covered->inode().number()
                  : m_inode->number();
    ApplicationSink sink(buffer, *m_dentry);
    TRY(m_inode->read_directory(m_handle, m_position, parent_number, sink));
    sink.copy_out();
    if (sink.used() == 0) {
        if (sink.faulted())
            return Errno::EFAULT;
        if (sink.is_full())
            return Errno::EINVAL;
        return 0;
    }
    m_position = sink.position();
    m_inode->touch_access();
    return sink.used();
}

Result<RefPtr<File>> PathFile::open(Inode& inode, Dentry& dentry, u32 flags)
{
    return RefPtr<File>(TRY(make_ref<PathFile>(inode, dentry, flags)));
}

} // namespace eremite
