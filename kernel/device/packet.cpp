#include "device/packet.h"

#include "sync/spin_lock.h"
#include <algorithm>

namespace eremite {

namespace {

/// A stack of free objects, at most `limit`, linked through the objects themselves.
template<typename T, T* T::* Next> class FreeList {
public:
    constexpr explicit FreeList(usize limit)
        : m_limit(limit)
    {
    }

    T* pop()
    {
        Locked lock(m_lock);
        T* object = m_first;
        if (object) {
            m_first = object->*Next;
            --m_count;
        }
        ++m_in_use;
        return object;
    }
    bool push(T* object)
    {
        Locked lock(m_lock);
        --m_in_use;
        if (m_count >= m_limit)
            return false;
        object->*Next = m_first;
        m_first = object;
        ++m_count;
        return true;
    }
    void cancel_pop()
    {
        Locked lock(m_lock);
        --m_in_use;
    }
    /// For giving objects back to the heap; does not count as use.
    T* take_free()
    {
        Locked lock(m_lock);
        T* object = m_first;
        if (object) {
            m_first = object->*Next;
            --m_count;
        }
        return object;
    }
    u64 in_use()
    {
        Locked lock(m_lock);
        return m_in_use;
    }

private:
    SpinLock m_lock;
    T* m_first GUARDED_BY(m_lock) { nullptr };
    usize m_count GUARDED_BY(m_lock) { 0 };
    u64 m_in_use GUARDED_BY(m_lock) { 0 };
    usize m_limit;
};

constinit FreeList<PacketStorage, &PacketStorage::next_free> s_packets { 512 };

} // namespace

class BufferPool {
public:
    using List = FreeList<Buffer, &Buffer::m_next_free>;

    static List& list(Buffer::Size size) { return s_lists[static_cast<usize>(size)]; }
    static Buffer* construct(void* memory, Buffer::Size size) { return ::new (memory) Buffer(size); }
    static void destroy(Buffer* buffer)
    {
        u32 size = buffer->allocation_size();
        buffer->~Buffer();
        kfree(buffer, size);
    }
    static void revive(Buffer& buffer) { buffer.m_references.store(1, std::memory_order_relaxed); }

private:
    static constinit std::array<List, 3> s_lists;
};

constinit std::array<BufferPool::List, 3> BufferPool::s_lists { List(256), List(256), List(16) };

Result<BufferRef> Buffer::create(Size size)
{
    auto& list = BufferPool::list(size);
    if (Buffer* buffer = list.pop()) {
        BufferPool::revive(*buffer);
        return BufferRef::adopt(buffer);
    }
    u32 allocation = k_allocation[static_cast<usize>(size)];
    void* memory = kmalloc(allocation, size == Size::Small ? 64 : k_page_size);
    if (!memory) {
        list.cancel_pop();
        return Errno::ENOMEM;
    }
    return BufferRef::adopt(BufferPool::construct(memory, size));
}

void Buffer::recycle()
{
    if (!BufferPool::list(m_size).push(this))
        BufferPool::destroy(this);
}

Result<Packet> Packet::create()
{
    PacketStorage* storage = s_packets.pop();
    if (!storage) {
        void* memory = kmalloc(sizeof(PacketStorage), alignof(PacketStorage));
        if (!memory) {
            s_packets.cancel_pop();
            return Errno::ENOMEM;
        }
        storage = ::new (memory) PacketStorage;
    }
    return from_token(storage);
}

Result<Packet> Packet::create(u32 headroom, u32 length)
{
    u64 needed = u64 { headroom } + length;
    if (needed > Buffer::capacity_of(Buffer::Size::Page))
        return Errno::EMSGSIZE;
    bool small = needed <= Buffer::capacity_of(Buffer::Size::Small);
    Packet packet = TRY(create());
    packet.append(TRY(Buffer::create(small ? Buffer::Size::Small : Buffer::Size::Page)), headroom, length);
    return packet;
}

void Packet::destroy()
{
    PacketStorage* storage = std::exchange(m_storage, nullptr);
    if (storage->count == 1) [[likely]] {
        storage->fragments[storage->first].buffer = nullptr;
    } else {
        for (Fragment& fragment : storage->used())
            fragment.buffer = nullptr;
    }
    storage->offload = {};
    storage->length = 0;
    storage->first = 0;
    storage->count = 0;
    storage->owns_headroom = false;
    if (!s_packets.push(storage)) {
        storage->~PacketStorage();
        kfree(storage, sizeof(PacketStorage));
    }
}

bool Packet::make_contiguous_slow(u32 length)
{
    if (length > m_storage->length)
        return false;
    if (length == 0 || fragment(0).length >= length)
        return true;
    if (length > Buffer::capacity_of(Buffer::Size::Page))
        return false;
    auto size = length <= Buffer::capacity_of(Buffer::Size::Small) ? Buffer::Size::Small : Buffer::Size::Page;
    auto buffer = Buffer::create(size);
    if (buffer.is_error() || !copy_out(0, buffer.value()->bytes(0, length)))
        return false;
    // The fragment that holds byte length-1 is at least the second, so its predecessor's slot becomes free.
    pull(length);
    if (m_storage->first == 0)
        return false;
    --m_storage->first;
    ++m_storage->count;
    m_storage->length += length;
    fragment(0) = Fragment { buffer.release_value(), 0, length };
    return true;
}

/// In a fragment of its own.
std::span<u8> Packet::prepend_slow(u32 length)
{
    if (m_storage->count >= k_max_fragments)
        return {};
    auto created = Buffer::create(Buffer::Size::Small);
    if (created.is_error() || length > created.value()->capacity())
        return {};
    if (m_storage->first == 0) {
        auto all = std::span(m_storage->fragments);
        std::move_backward(all.begin(), all.begin() + m_storage->count, all.begin() + m_storage->count + 1);
    } else {
        --m_storage->first;
    }
    ++m_storage->count;
    m_storage->owns_headroom = false;
    BufferRef buffer = created.release_value();
    // At the end of the buffer, so that further headers find room.
    u32 offset = buffer->capacity() - length;
    fragment(0) = Fragment { std::move(buffer), offset, length };
    note_prepended(length);
    return fragment(0).bytes();
}

void Packet::pull_slow(u32 length)
{
    ASSERT(length <= m_storage->length);
    m_storage->owns_headroom = false;
    m_storage->length -= length;
    while (length > 0) {
        Fragment& front = fragment(0);
        u32 step = std::min(length, front.length);
        front.offset += step;
        front.length -= step;
        length -= step;
        if (front.length == 0 && m_storage->length > 0) {
            front.buffer = nullptr;
            ++m_storage->first;
            --m_storage->count;
        }
    }
}

void Packet::truncate(u32 length)
{
    ASSERT(length <= m_storage->length);
    u32 excess = m_storage->length - length;
    m_storage->length = length;
    while (excess > 0) {
        Fragment& last = fragment(m_storage->count - 1u);
        u32 step = std::min(excess, last.length);
        last.length -= step;
        excess -= step;
        if (last.length == 0 && m_storage->count > 1) {
            last.buffer = nullptr;
            --m_storage->count;
        }
    }
}

bool Packet::copy_out(u32 offset, std::span<u8> destination)
{
    for (Fragment& fragment : m_storage->used()) {
        if (destination.empty())
            break;
        if (offset >= fragment.length) {
            offset -= fragment.length;
            continue;
        }
        auto source = fragment.bytes().subspan(offset);
        usize step = std::min(source.size(), destination.size());
        std::ranges::copy(source.first(step), destination.begin());
        destination = destination.subspan(step);
        offset = 0;
    }
    return destination.empty();
}

/// Of one fragment.
Result<Packet> Packet::share_front(u32 length)
{
    Fragment& own = fragment(0);
    Packet result = TRY(create());
    Fragment& shared = result.m_storage->fragments[0];
    shared.buffer = own.buffer;
    shared.offset = own.offset;
    shared.length = length;
    result.m_storage->count = 1;
    result.m_storage->length = length;
    return result;
}

Result<Packet> Packet::share_slow(u32 offset, u32 length)
{
    if (u64 { offset } + length > m_storage->length)
        return Errno::EINVAL;
    Packet result = TRY(create());
    for (Fragment& fragment : m_storage->used()) {
        if (length == 0)
            break;
        if (offset >= fragment.length) {
            offset -= fragment.length;
            continue;
        }
        u32 step = std::min(fragment.length - offset, length);
        result.append(fragment.buffer, fragment.offset + offset, step);
        length -= step;
        offset = 0;
    }
    return result;
}

Result<Packet> Packet::copy(u32 headroom)
{
    constexpr u32 page = Buffer::capacity_of(Buffer::Size::Page);
    u32 remaining = m_storage->length;
    u32 position = 0;
    if (headroom > page)
        return Errno::EMSGSIZE;
    Packet result = TRY(create(headroom, std::min(remaining, page - headroom)));
    copy_out(0, result.head());
    position = result.length();
    remaining -= position;
    while (remaining > 0) {
        u32 step = std::min(remaining, page);
        auto buffer = TRY(Buffer::create(Buffer::Size::Page));
        copy_out(position, buffer->bytes(0, step));
        if (!result.append(std::move(buffer), 0, step))
            return Errno::EMSGSIZE;
        position += step;
        remaining -= step;
    }
    result.offload() = offload();
    return result;
}

// m_before_last is only needed by last(), whose place is the `next` of the packet before.

void PacketList::push_front(Packet packet)
{
    if (is_empty())
        return push_back(std::move(packet));
    if (m_count == 1)
        m_before_last = packet.m_storage;
    packet.m_storage->next = std::move(m_first);
    m_first = std::move(packet);
    ++m_count;
}

void PacketList::insert_after(Packet* place, Packet packet)
{
    PacketStorage* before = place->m_storage;
    if (before == m_last)
        return push_back(std::move(packet));
    if (before == m_before_last)
        m_before_last = packet.m_storage;
    packet.m_storage->next = std::move(before->next);
    before->next = std::move(packet);
    ++m_count;
}

Packet PacketList::take(Packet* place)
{
    if (place == &m_first)
        return pop_front();
    PacketStorage* before = m_first.m_storage;
    PacketStorage* before_that = nullptr;
    while (&before->next != place) {
        before_that = before;
        before = before->next.m_storage;
    }
    Packet packet = std::move(*place);
    *place = std::move(packet.m_storage->next);
    --m_count;
    if (packet.m_storage == m_last) {
        m_last = before;
        m_before_last = before_that;
    } else if (packet.m_storage == m_before_last) {
        m_before_last = before;
    }
    return packet;
}

void PacketList::append(PacketList other)
{
    if (other.is_empty())
        return;
    PacketStorage* last = other.m_last;
    PacketStorage* before_last = other.m_before_last ? other.m_before_last : m_last;
    *place_after(m_last) = std::move(other.m_first);
    m_last = last;
    m_before_last = before_last;
    m_count += other.m_count;
    other.m_last = nullptr;
    other.m_before_last = nullptr;
    other.m_count = 0;
}

void PacketList::clear()
{
    while (!is_empty())
        pop_front();
}

PacketStatistics packet_statistics()
{
    PacketStatistics result;
    result.packets = s_packets.in_use();
    for (auto size : { Buffer::Size::Small, Buffer::Size::Page, Buffer::Size::Large }) {
        u64 count = BufferPool::list(size).in_use();
        result.buffers += count;
        result.bytes += count * Buffer::k_allocation[static_cast<usize>(size)];
    }
    return result;
}

void trim_packet_pool()
{
    while (PacketStorage* storage = s_packets.take_free()) {
        storage->~PacketStorage();
        kfree(storage, sizeof(PacketStorage));
    }
    for (auto size : { Buffer::Size::Small, Buffer::Size::Page, Buffer::Size::Large }) {
        while (Buffer* buffer = BufferPool::list(size).take_free())
            BufferPool::destroy(buffer);
    }
}

} // namespace eremite
