#include "file/pipe.h"

#include "base/format.h"
#include "sched/signal_hooks.h"

#include <algorithm>

namespace eremite {

namespace {

constinit std::atomic<u64> s_next_number { 1 };
constexpr u32 k_readable = abi::k_pollin | abi::k_pollrdnorm;
constexpr u32 k_writable = abi::k_pollout | abi::k_pollwrnorm;

} // namespace

Result<RefPtr<Pipe>> Pipe::create()
{
    RefPtr<Pipe> pipe = TRY(make_ref<Pipe>());
    pipe->m_number = s_next_number.fetch_add(1, std::memory_order_relaxed);
    return pipe;
}

Pipe::~Pipe()
{
    kfree(m_buffer, m_allocated);
}

std::span<u8> Pipe::buffer()
{
#pragma clang unsafe_buffer_usage begin // m_allocated is the size of m_buffer
    return { m_buffer, m_allocated };
#pragma clang unsafe_buffer_usage end
}

Result<> Pipe::grow(usize wanted)
{
    usize size = std::max<usize>(m_allocated, k_page_size);
    while (size < wanted)
        size *= 2;
    size = std::min(size, m_capacity);
    auto* memory = static_cast<u8*>(kmalloc(size));
    if (!memory)
        return Errno::ENOMEM;
    const std::span<u8> old = buffer();
    const usize first = std::min(m_size, m_allocated - m_start);
#pragma clang unsafe_buffer_usage begin // m_size <= size: it only grows, or shrinks to no less than what is in it
    if (m_size != 0) {
        __builtin_memcpy(memory, old.subspan(m_start).data(), first);
        __builtin_memcpy(memory + first, old.data(), m_size - first);
    }
#pragma clang unsafe_buffer_usage end
    kfree(m_buffer, m_allocated);
    m_buffer = memory;
    m_allocated = size;
    m_start = 0;
    return {};
}

Result<usize> Pipe::put(IoBuffer source)
{
    const usize count = std::min(source.size(), room());
    if (m_size + count > m_allocated)
        TRY(grow(m_size + count));
    const std::span<u8> memory = buffer();
    usize end = m_start + m_size;
    if (end >= m_allocated)
        end -= m_allocated;
    const usize first = std::min(count, m_allocated - end);
    TRY(source.read(memory.subspan(end, first)));
    if (count > first)
        TRY(source.subspan(first).read(memory.first(count - first)));
    m_size += count;
    return count;
}

Result<usize> Pipe::read(IoBuffer target, bool nonblocking)
{
    if (target.is_empty())
        return 0;
    usize count;
    {
        Locked lock(m_lock);
        if (m_size == 0) {
            if (m_writers == 0)
                return 0;
            if (nonblocking)
                return Errno::EAGAIN;
            TRY(m_reader_queue.wait_until(
                m_lock, [this]() NO_THREAD_SAFETY_ANALYSIS { return m_size != 0 || m_writers == 0; }));
        }
        count = std::min(target.size(), m_size);
        if (count == 0)
            return 0;
        const std::span<u8> memory = buffer();
        const usize first = std::min(count, m_allocated - m_start);
        TRY(target.write(memory.subspan(m_start, first)));
        if (count > first)
            TRY(target.subspan(first).write(memory.first(count - first)));
        m_start += count;
        if (m_start >= m_allocated)
            m_start -= m_allocated;
        m_size -= count;
        if (m_size == 0)
            m_start = 0;
    }
    m_writer_queue.wake_all(k_writable);
    return count;
}

Result<usize> Pipe::write(IoBuffer source, bool nonblocking)
{
    if (source.is_empty())
        return 0;
    usize total = 0;
    Result<usize> result = 0;
    while (true) {
        {
            Locked lock(m_lock);
            if (m_readers == 0) {
                result = Errno::EPIPE;
                break;
            }
            // Up to PIPE_BUF bytes go in at once or not at all.
            const usize needed = source.size() <= k_atomic_size ? source.size() : 1;
            if (room() < needed) {
                if (nonblocking) {
                    result = Errno::EAGAIN;
                    break;
                }
                auto waited = m_writer_queue.wait_until(
                    m_lock, [this, needed]() NO_THREAD_SAFETY_ANALYSIS { return room() >= needed || m_readers == 0; });
                if (waited.is_error()) {
                    result = waited.error();
                    break;
                }
                continue;
            }
            result = put(source.subspan(total));
            if (result.is_error())
                break;
            total += result.value();
        }
        m_reader_queue.wake_all(k_readable);
        if (total == source.size())
            return total;
    }
    if (result.is_error() && total != 0)
        return total;
    if (result.is_error() && result.error() == Errno::EPIPE)
        send_kernel_signal(abi::k_sigpipe, arch::current_thread());
    return result;
}

u32 Pipe::poll(PollTable* table, bool reads, bool writes)
{
    if (table) {
        if (reads)
            table->add(m_reader_queue);
        if (writes)
            table->add(m_writer_queue);
    }
    Locked lock(m_lock);
    u32 events = 0;
    if (reads) {
        if (m_size != 0)
            events |= k_readable;
        if (m_writers == 0)
            events |= abi::k_pollhup;
    }
    if (writes) {
        if (room() >= k_atomic_size)
            events |= k_writable;
        if (m_readers == 0)
            events |= abi::k_pollerr;
    }
    return events;
}

usize Pipe::available()
{
    Locked lock(m_lock);
    return m_size;
}

usize Pipe::capacity()
{
    Locked lock(m_lock);
    return m_capacity;
}

Result<usize> Pipe::resize(usize capacity)
{
    if (capacity > k_max_capacity)
        return Errno::EPERM;
    usize rounded = k_page_size;
    while (rounded < capacity)
        rounded *= 2;
    Locked lock(m_lock);
    if (rounded < m_size)
        return Errno::EBUSY;
    m_capacity = rounded;
    if (m_allocated > rounded)
        TRY(grow(m_size));
    return rounded;
}

Result<usize> Pipe::peek(std::span<u8> target)
{
    Locked lock(m_lock);
    if (m_size == 0)
        return m_writers == 0 ? Result<usize>(0) : Result<usize>(Errno::EAGAIN);
    const usize count = std::min(target.size(), m_size);
    const usize first = std::min(count, m_allocated - m_start);
    std::ranges::copy(buffer().subspan(m_start, first), target.begin());
    std::ranges::copy(buffer().first(count - first), target.subspan(first).begin());
    return count;
}

void Pipe::add_end(bool reads, bool writes)
{
    {
        Locked lock(m_lock);
        m_readers += reads;
        m_writers += writes;
        m_reader_generation += reads;
        m_writer_generation += writes;
    }
    if (reads)
        m_writer_queue.wake_all(k_writable);
    if (writes)
        m_reader_queue.wake_all(0);
}

void Pipe::remove_end(bool reads, bool writes)
{
    {
        Locked lock(m_lock);
        m_readers -= reads;
        m_writers -= writes;
        if (m_readers == 0 && m_writers == 0)
            m_size = m_start = 0; // a FIFO forgets what nobody has read
    }
    if (reads)
        m_writer_queue.wake_all(k_writable | abi::k_pollerr);
    if (writes)
        m_reader_queue.wake_all(k_readable | abi::k_pollhup);
}

Result<> Pipe::wait_for_reader()
{
    Locked lock(m_lock);
    const u64 seen = m_reader_generation;
    if (m_readers != 0)
        return {};
    return m_writer_queue.wait_until(
        m_lock, [this, seen]() NO_THREAD_SAFETY_ANALYSIS { return m_readers != 0 || m_reader_generation != seen; });
}

Result<> Pipe::wait_for_writer()
{
    Locked lock(m_lock);
    const u64 seen = m_writer_generation;
    if (m_writers != 0)
        return {};
    return m_reader_queue.wait_until(
        m_lock, [this, seen]() NO_THREAD_SAFETY_ANALYSIS { return m_writers != 0 || m_writer_generation != seen; });
}

bool Pipe::has_readers()
{
    Locked lock(m_lock);
    return m_readers != 0;
}

bool Pipe::has_writers()
{
    Locked lock(m_lock);
    return m_writers != 0;
}

Result<> PipeFile::create_pair(u32 flags, RefPtr<File>& reader, RefPtr<File>& writer)
{
    RefPtr<Pipe> pipe = TRY(Pipe::create());
    reader = RefPtr<File>(TRY(make_ref<PipeFile>(pipe, flags | abi::k_o_rdonly)));
    pipe->add_end(true, false);
    writer = RefPtr<File>(TRY(make_ref<PipeFile>(pipe, flags | abi::k_o_wronly)));
    pipe->add_end(false, true);
    return {};
}

PipeFile::~PipeFile()
{
    m_pipe->remove_end(is_readable(), is_writable());
}

Result<usize> PipeFile::read(IoBuffer buffer)
{
    return m_pipe->read(buffer, is_nonblocking());
}

Result<usize> PipeFile::write(IoBuffer buffer)
{
    return m_pipe->write(buffer, is_nonblocking());
}

Result<long> PipeFile::ioctl(u32 request, u64 argument)
{
    if (request != abi::k_fionread)
        return Errno::ENOTTY;
    TRY(UserPointer<int>(argument).write(static_cast<int>(m_pipe->available())));
    return 0;
}

Result<> PipeFile::stat(abi::Stat& stat)
{
    stat.mode = abi::k_s_ififo | 0600;
    stat.inode = m_pipe->number();
    stat.link_count = 1;
    stat.block_size = k_page_size;
    return {};
}

u32 PipeFile::poll(PollTable* table)
{
    return m_pipe->poll(table, is_readable(), is_writable());
}

Result<long> PipeFile::control(int command, u64 argument)
{
    if (command == abi::k_f_getpipe_sz)
        return static_cast<long>(m_pipe->capacity());
    if (command == abi::k_f_setpipe_sz)
        return static_cast<long>(TRY(m_pipe->resize(static_cast<u32>(argument))));
    return Errno::EINVAL;
}

Result<String> PipeFile::description()
{
    std::array<char, 32> text;
    return String::create(format(text, "pipe:[{}]", m_pipe->number()));
}

} // namespace eremite
