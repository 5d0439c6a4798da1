// Packets and the memory they are made of. A Packet is move-only and owns a chain of fragments; a fragment is part of a
// reference-counted Buffer, so that a sent byte lies in one place for the device, the retransmission queue and a
// duplicate at once, and a received byte stays where the device put it until read() copies it out.
//
// Buffers come from the kernel heap in three sizes, are physically contiguous, and free ones are kept in short lists.
// Nothing here may be called from interrupt handlers. A Packet is used by one thread at a time; Buffers may be shared.
#pragma once

#include "base/owned.h"
#include "base/result.h"
#include "base/types.h"
#include <array>
#include <atomic>
#include <span>

namespace eremite {

/// Room that the network leaves in front of a transport header: Ethernet + IPv6 + slack, and a device's own header.
inline constexpr u32 k_packet_headroom = 128;

/// Memory for packet data. Only holders of the only reference write to bytes that others may already see.
class Buffer {
public:
    /// Small holds headers and messages up to some 800 bytes; Page is what devices receive into; Large is for bulk
    /// data.
    enum class Size : u8 { Small, Page, Large };
    static constexpr u32 k_header = 32;
    static constexpr std::array<u32, 3> k_allocation { 1024, 4096, 32768 };
    static constexpr u32 capacity_of(Size size) { return k_allocation[static_cast<usize>(size)] - k_header; }

    /// A buffer with undefined content. ENOMEM.
    static Result<RefPtr<Buffer>> create(Size size);

    u32 capacity() const { return capacity_of(m_size); }
    std::span<const u8> bytes() const { return const_cast<Buffer*>(this)->bytes(); }
    std::span<u8> bytes()
    {
#pragma clang unsafe_buffer_usage begin // the allocation is the header and capacity() bytes: see create()
        return { reinterpret_cast<u8*>(this) + k_header, capacity() };
#pragma clang unsafe_buffer_usage end
    }
    /// The part [offset, offset + length); asserts that it lies within.
    std::span<u8> bytes(u32 offset, u32 length) { return bytes().subspan(offset, length); }
    /// Nobody else holds a reference.
    bool is_exclusive() const { return m_references.load(std::memory_order_acquire) == 1; }
    /// Whole allocation, for accounting (SO_RCVBUF): what keeping one byte of this costs.
    u32 allocation_size() const { return k_allocation[static_cast<usize>(m_size)]; }

    void ref() { m_references.fetch_add(1, std::memory_order_relaxed); }
    void unref()
    {
        if (m_references.load(std::memory_order_acquire) == 1
            || m_references.fetch_sub(1, std::memory_order_acq_rel) == 1)
            recycle();
    }

private:
    friend class BufferPool;
    explicit Buffer(Size size)
        : m_size(size)
    {
    }
    void recycle();

    std::atomic<u32> m_references { 1 };
    Size m_size;
    Buffer* m_next_free { nullptr };
};
static_assert(sizeof(Buffer) <= Buffer::k_header);

using BufferRef = RefPtr<Buffer>;

/// Part of a buffer; shares it.
struct Fragment {
    BufferRef buffer;
    u32 offset { 0 };
    u32 length { 0 };

    std::span<u8> bytes() const { return buffer->bytes(offset, length); }
};

/// How a packet longer than the MTU is to be cut, or was put together.
enum class Segmentation : u8 { None, Tcp4, Tcp6, Udp4, Udp6 };

/// What the device does instead of us (virtio 1.2, 5.1.6). Offsets count from the packet's first byte, and prepend()
/// moves them.
struct PacketOffload {
    /// Transmit: the 16-bit sum from checksum_start to the end is to be stored at checksum_start + checksum_offset,
    /// where the pseudo-header's sum already stands.
    bool needs_checksum { false };
    /// Receive: the transport checksum is known to be good, or was never made because no wire was passed.
    bool checksum_verified { false };
    Segmentation segmentation { Segmentation::None };
    u16 checksum_start { 0 };
    u16 checksum_offset { 0 };
    /// Payload bytes per segment; meaningful with segmentation.
    u16 segment_size { 0 };
    /// Length of all headers, which each segment repeats.
    u16 header_length { 0 };
};

/// What a Packet points to; devices keep it as a token while the hardware owns the memory. Of no concern to any but
/// Packet.
struct PacketStorage;

/// A chain of fragments with offload metadata. Empty (holds nothing) after being moved from.
class Packet {
public:
    /// 64 KiB in pages, headers, and one more.
    static constexpr u32 k_max_fragments = 19;
    static constexpr u32 k_note_size = 64;

    constexpr Packet() = default;
    Packet(Packet&& other)
        : m_storage(std::exchange(other.m_storage, nullptr))
    {
    }
    Packet& operator=(Packet&& other)
    {
        std::swap(m_storage, other.m_storage);
        return *this;
    }
    ~Packet()
    {
        if (m_storage)
            destroy();
    }

    /// A packet without fragments. ENOMEM.
    static Result<Packet> create();
    /// A packet with one small or page buffer that has `headroom` free bytes before and `length` bytes of content
    /// (undefined). EMSGSIZE if that is more than a page buffer holds.
    static Result<Packet> create(u32 headroom, u32 length);

    explicit operator bool() const { return m_storage != nullptr; }
    u32 length() const;
    u32 fragment_count() const;
    Fragment& fragment(u32 index);
    PacketOffload& offload();
    const PacketOffload& offload() const;
    /// A few words for whoever holds the packet, of that layer's own type; kept while it is queued, not by share().
    template<typename T> T& note()
    {
        static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= k_note_size && alignof(T) <= 8);
        return *reinterpret_cast<T*>(note_bytes());
    }
    /// Sum of the buffers' allocation sizes, for accounting.
    u32 memory_size() const;

    /// The first fragment's bytes; empty span if there are none.
    std::span<u8> head();
    /// Makes the first `length` bytes one fragment, copying if they are not. False if the packet is shorter, or memory
    /// is short.
    bool make_contiguous(u32 length);
    /// Adds a fragment at the end, which takes over the reference. False (packet unchanged) if the chain is full.
    bool append(BufferRef buffer, u32 offset, u32 length);
    /// Grows the last fragment by `length` bytes of its buffer, if they are free and nobody else sees it, and returns
    /// them; empty span otherwise. `sole_writer`: the caller knows that nobody else ever writes behind this fragment,
    /// so that others may hold the buffer.
    std::span<u8> grow_tail(u32 length, bool sole_writer = false);
    /// The bytes before the first fragment are this packet's to write, though others hold the buffer too: prepend()
    /// uses them. The caller knows that nobody else reads or writes there.
    void claim_headroom();
    /// Puts `length` bytes (undefined) before the first: in the first buffer's headroom if it is ours alone, else in a
    /// new fragment. Empty span if memory or fragments are short.
    std::span<u8> prepend(u32 length);
    /// Drops bytes at the front; asserts that there are that many.
    void pull(u32 length);
    /// Drops bytes at the end so that `length` remain; asserts that there are that many.
    void truncate(u32 length);

    /// Copies [offset, offset + destination.size()) out; false if the packet is shorter.
    bool copy_out(u32 offset, std::span<u8> destination);
    /// A packet of its own that shares [offset, offset + length) of the data; offload metadata is not copied.
    /// ENOMEM; EINVAL if the range is not within.
    Result<Packet> share(u32 offset, u32 length);
    /// A packet with the same bytes in buffers of its own, in pages. ENOMEM, EMSGSIZE.
    Result<Packet> copy(u32 headroom = k_packet_headroom);

    /// Hands the packet over as a token, to be taken back by from_token exactly once.
    PacketStorage* release_token() { return std::exchange(m_storage, nullptr); }
    static Packet from_token(PacketStorage* token)
    {
        Packet packet;
        packet.m_storage = token;
        return packet;
    }

private:
    friend class PacketList;
    void destroy();
    bool make_contiguous_slow(u32 length);
    std::span<u8> prepend_slow(u32 length);
    void note_prepended(u32 length);
    void pull_slow(u32 length);
    Result<Packet> share_front(u32 length);
    Result<Packet> share_slow(u32 offset, u32 length);
    u8* note_bytes();

    PacketStorage* m_storage { nullptr };
};

/// A queue of packets that owns them; no allocation. `Packet*` that it gives out are places in the queue: valid until
/// the packet there, or the one before it, leaves the queue.
class PacketList {
public:
    constexpr PacketList() = default;
    PacketList(PacketList&& other) { swap(other); }
    PacketList& operator=(PacketList&& other)
    {
        swap(other);
        return *this;
    }
    ~PacketList()
    {
        if (!is_empty())
            clear();
    }

    bool is_empty() const { return !m_first; }
    usize count() const { return m_count; }
    /// The first packet's place; null if there is none.
    Packet* first() { return m_first ? &m_first : nullptr; }
    Packet* last() { return m_last ? place_after(m_before_last) : nullptr; }
    /// The place after `place`; null at the end.
    Packet* next(Packet* place);
    void push_back(Packet packet);
    void push_front(Packet packet);
    void insert_after(Packet* place, Packet packet);
    /// The first packet; an empty Packet if there is none.
    Packet pop_front();
    /// Takes the packet at `place`; the one after it then stands there. `place` must be of this list.
    Packet take(Packet* place);
    void append(PacketList other);
    void clear();

private:
    void swap(PacketList& other)
    {
        std::swap(m_first, other.m_first);
        std::swap(m_last, other.m_last);
        std::swap(m_before_last, other.m_before_last);
        std::swap(m_count, other.m_count);
    }
    Packet* place_after(PacketStorage* storage);

    Packet m_first;
    PacketStorage* m_last { nullptr };
    PacketStorage* m_before_last { nullptr };
    usize m_count { 0 };
};

struct PacketStorage {
    /// Successor in a PacketList.
    Packet next;
    PacketStorage* next_free { nullptr };
    alignas(8) std::array<u8, Packet::k_note_size> note;
    PacketOffload offload;
    u32 length { 0 };
    u8 first { 0 };
    u8 count { 0 };
    bool owns_headroom { false };
    /// In use are [first, first + count).
    std::array<Fragment, Packet::k_max_fragments> fragments;

    std::span<Fragment> used() { return std::span(fragments).subspan(first, count); }
};

// What every packet goes through several times.

inline u32 Packet::length() const
{
    return m_storage ? m_storage->length : 0;
}

inline u32 Packet::fragment_count() const
{
    return m_storage->count;
}

inline Fragment& Packet::fragment(u32 index)
{
    ASSERT(index < m_storage->count);
    return m_storage->fragments[m_storage->first + index];
}

inline PacketOffload& Packet::offload()
{
    return m_storage->offload;
}

inline const PacketOffload& Packet::offload() const
{
    return m_storage->offload;
}

inline u8* Packet::note_bytes()
{
    return m_storage->note.data();
}

inline u32 Packet::memory_size() const
{
    u32 size = 0;
    for (Fragment& fragment : m_storage->used())
        size += fragment.buffer->allocation_size();
    return size;
}

inline std::span<u8> Packet::head()
{
    if (m_storage->count == 0)
        return {};
    return fragment(0).bytes();
}

inline bool Packet::make_contiguous(u32 length)
{
    if (m_storage->count > 0 && fragment(0).length >= length) [[likely]]
        return true;
    return make_contiguous_slow(length);
}

inline bool Packet::append(BufferRef buffer, u32 offset, u32 length)
{
    u32 next = u32 { m_storage->first } + m_storage->count;
    if (next >= k_max_fragments)
        return false;
    Fragment& added = m_storage->fragments[next];
    added.buffer = std::move(buffer);
    added.offset = offset;
    added.length = length;
    ++m_storage->count;
    m_storage->length += length;
    return true;
}

inline std::span<u8> Packet::grow_tail(u32 length, bool sole_writer)
{
    if (m_storage->count == 0)
        return {};
    Fragment& last = fragment(m_storage->count - 1u);
    u32 end = last.offset + last.length;
    if ((!sole_writer && !last.buffer->is_exclusive()) || last.buffer->capacity() - end < length)
        return {};
    last.length += length;
    m_storage->length += length;
    return last.buffer->bytes(end, length);
}

inline Result<Packet> Packet::share(u32 offset, u32 length)
{
    if (offset == 0 && m_storage->count == 1 && length <= m_storage->length) [[likely]]
        return share_front(length);
    return share_slow(offset, length);
}

inline void Packet::claim_headroom()
{
    m_storage->owns_headroom = true;
}

inline std::span<u8> Packet::prepend(u32 length)
{
    if (m_storage->count == 0 || fragment(0).offset < length
        || !(m_storage->owns_headroom || fragment(0).buffer->is_exclusive())) [[unlikely]]
        return prepend_slow(length);
    Fragment& front = fragment(0);
    front.offset -= length;
    front.length += length;
    note_prepended(length);
    return front.buffer->bytes(front.offset, length);
}

inline void Packet::note_prepended(u32 length)
{
    m_storage->length += length;
    m_storage->offload.checksum_start = static_cast<u16>(m_storage->offload.checksum_start + length);
    m_storage->offload.header_length = static_cast<u16>(m_storage->offload.header_length + length);
}

inline void Packet::pull(u32 length)
{
    ASSERT(length <= m_storage->length);
    if (m_storage->count > 0 && length < fragment(0).length) [[likely]] {
        m_storage->owns_headroom = false;
        m_storage->length -= length;
        fragment(0).offset += length;
        fragment(0).length -= length;
        return;
    }
    pull_slow(length);
}

inline Packet* PacketList::place_after(PacketStorage* storage)
{
    return storage ? &storage->next : &m_first;
}

inline Packet* PacketList::next(Packet* place)
{
    Packet* following = &place->m_storage->next;
    return *following ? following : nullptr;
}

inline void PacketList::push_back(Packet packet)
{
    PacketStorage* added = packet.m_storage;
    *place_after(m_last) = std::move(packet);
    m_before_last = m_last;
    m_last = added;
    ++m_count;
}

inline Packet PacketList::pop_front()
{
    if (is_empty())
        return {};
    Packet packet = std::move(m_first);
    m_first = std::move(packet.m_storage->next);
    --m_count;
    if (m_count == 0)
        m_last = nullptr;
    if (m_count <= 1)
        m_before_last = nullptr;
    return packet;
}

/// How much is in use: tests compare before and after.
struct PacketStatistics {
    u64 packets { 0 };
    u64 buffers { 0 };
    u64 bytes { 0 };
};
PacketStatistics packet_statistics();
/// Gives the lists of free packets and buffers back to the heap.
void trim_packet_pool();

} // namespace eremite
