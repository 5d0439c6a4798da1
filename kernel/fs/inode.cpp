#include "fs/inode.h"

#include "fs/dentry.h"
#include "fs/file_locks.h"
#include "fs/open_file.h"
#include "sched/clock.h"

namespace eremite {

namespace {

constinit std::atomic<u32> s_next_device { 1 };
constinit std::atomic<Opener> s_device_opener { nullptr };
constinit std::atomic<Opener> s_fifo_opener { nullptr };

} // namespace

FileSystem::FileSystem()
    : m_device(s_next_device.fetch_add(1, std::memory_order_relaxed))
{
}

Inode::Inode(FileSystem& file_system, u64 number, u32 mode)
    : m_file_system(&file_system)
    , m_number(number)
    , m_type(mode & abi::k_s_ifmt)
{
    const Nanoseconds now = realtime_now();
    m_attributes.number = number;
    m_attributes.mode = mode;
    m_attributes.access_time = m_attributes.modify_time = m_attributes.change_time = m_attributes.birth_time = now;
}

Inode::~Inode()
{
    if (FileLocks* state = locks.load(std::memory_order_relaxed))
        static_cast<void>(OwnPtr<FileLocks>::adopt(state));
}

u64 Inode::size()
{
    Locked lock(m_attributes_lock);
    return m_attributes.size;
}

Result<> Inode::attributes(Attributes& result)
{
    Locked lock(m_attributes_lock);
    result = m_attributes;
    return {};
}

Result<> Inode::set_attributes(const AttributeChange& change)
{
    const Nanoseconds now = realtime_now();
    Locked lock(m_attributes_lock);
    if ((change.what & AttributeChange::Mode) != 0)
        m_attributes.mode = m_type | change.mode;
    if ((change.what & AttributeChange::Uid) != 0)
        m_attributes.uid = change.uid;
    if ((change.what & AttributeChange::Gid) != 0)
        m_attributes.gid = change.gid;
    if ((change.what & AttributeChange::AccessTime) != 0)
        m_attributes.access_time = change.access_time;
    if ((change.what & AttributeChange::ModifyTime) != 0)
        m_attributes.modify_time = change.modify_time;
    m_attributes.change_time = now;
    times_changed();
    return {};
}

void Inode::record_access()
{
    // As with Linux's relatime: only the first access after a change is recorded.
    const Nanoseconds now = realtime_now();
    Locked lock(m_attributes_lock);
    if (m_attributes.access_time <= m_attributes.modify_time)
        m_attributes.access_time = now;
    m_access_is_recorded.store(m_attributes.access_time > m_attributes.modify_time, std::memory_order_relaxed);
}

void Inode::touch_modify()
{
    const Nanoseconds now = realtime_now();
    Locked lock(m_attributes_lock);
    m_attributes.modify_time = m_attributes.change_time = now;
    times_changed();
}

void Inode::touch_change()
{
    const Nanoseconds now = realtime_now();
    Locked lock(m_attributes_lock);
    m_attributes.change_time = now;
}

Result<RefPtr<File>> Inode::open(Dentry& dentry, u32 flags)
{
    switch (m_type) {
    case abi::k_s_ifreg:
        return RegularFile::open(*this, dentry, flags);
    case abi::k_s_ifdir:
        return DirectoryFile::open(*this, dentry, flags);
    case abi::k_s_iflnk:
        return Errno::ELOOP;
    case abi::k_s_ifchr:
        if (Opener opener = s_device_opener.load(std::memory_order_acquire))
            return opener(*this, dentry, flags);
        return Errno::ENXIO;
    case abi::k_s_ififo:
        if (Opener opener = s_fifo_opener.load(std::memory_order_acquire))
            return opener(*this, dentry, flags);
        return Errno::ENXIO;
    default:
        return Errno::ENXIO;
    }
}

Result<RefPtr<Dentry>> Inode::link_destination()
{
    return RefPtr<Dentry>();
}

void register_opener(u32 type, Opener opener)
{
    (type == abi::k_s_ifchr ? s_device_opener : s_fifo_opener).store(opener, std::memory_order_release);
}

void fill_stat(const Attributes& attributes, u64 device, abi::Stat& stat)
{
    const auto split = [](Nanoseconds time, i64& seconds, i64& nanoseconds) {
        // Rounded down, also before 1970.
        seconds = time.value() / 1'000'000'000;
        nanoseconds = time.value() % 1'000'000'000;
        if (nanoseconds < 0) {
            nanoseconds += 1'000'000'000;
            --seconds;
        }
    };
    stat.device = device;
    stat.inode = attributes.number;
    stat.mode = attributes.mode;
    stat.link_count = attributes.link_count;
    stat.uid = attributes.uid;
    stat.gid = attributes.gid;
    stat.special_device = attributes.special_device;
    stat.size = static_cast<i64>(attributes.size);
    stat.block_size = static_cast<decltype(stat.block_size)>(attributes.block_size);
    stat.blocks = static_cast<i64>(attributes.blocks);
    split(attributes.access_time, stat.access_seconds, stat.access_nanoseconds);
    split(attributes.modify_time, stat.modify_seconds, stat.modify_nanoseconds);
    split(attributes.change_time, stat.change_seconds, stat.change_nanoseconds);
}

} // namespace eremite
