#include "file/event_file.h"

namespace eremite {

namespace {

constexpr u32 k_readable = abi::k_pollin | abi::k_pollrdnorm;
constexpr u32 k_writable = abi::k_pollout | abi::k_pollwrnorm;

std::span<u8> bytes_of(u64& value)
{
    return { reinterpret_cast<u8*>(&value), sizeof(value) };
}

} // namespace

Result<RefPtr<File>> EventFile::create(u32 initial, bool semaphore, u32 flags)
{
    return RefPtr<File>(TRY(make_ref<EventFile>(initial, semaphore, flags | abi::k_o_rdwr)));
}

Result<usize> EventFile::read(IoBuffer buffer)
{
    if (buffer.size() < sizeof(u64))
        return Errno::EINVAL;
    u64 value;
    {
        Locked lock(m_lock);
        if (m_value == 0) {
            if (is_nonblocking())
                return Errno::EAGAIN;
            TRY(m_readers.wait_until(m_lock, [this]() NO_THREAD_SAFETY_ANALYSIS { return m_value != 0; }));
        }
        value = m_is_semaphore ? 1 : m_value;
        m_value -= value;
    }
    m_writers.wake_all(k_writable);
    TRY(buffer.write(bytes_of(value)));
    return sizeof(value);
}

Result<usize> EventFile::write(IoBuffer buffer)
{
    if (buffer.size() < sizeof(u64))
        return Errno::EINVAL;
    u64 value;
    TRY(buffer.read(bytes_of(value)));
    if (value > k_maximum)
        return Errno::EINVAL;
    {
        Locked lock(m_lock);
        if (k_maximum - m_value < value) {
            if (is_nonblocking())
                return Errno::EAGAIN;
            TRY(m_writers.wait_until(
                m_lock, [this, value]() NO_THREAD_SAFETY_ANALYSIS { return k_maximum - m_value >= value; }));
        }
        m_value += value;
    }
    if (value != 0)
        m_readers.wake_all(k_readable);
    return sizeof(value);
}

Result<> EventFile::stat(abi::Stat& stat)
{
    stat.mode = 0600;
    stat.inode = 1;
    stat.link_count = 1;
    stat.block_size = k_page_size;
    return {};
}

u32 EventFile::poll(PollTable* table)
{
    if (table) {
        table->add(m_readers);
        table->add(m_writers);
    }
    Locked lock(m_lock);
    u32 events = 0;
    if (m_value != 0)
        events |= k_readable;
    if (m_value < k_maximum)
        events |= k_writable;
    return events;
}

} // namespace eremite
