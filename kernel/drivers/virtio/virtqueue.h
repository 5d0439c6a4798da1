// A split virtqueue (virtio 1.2, 2.7), with EVENT_IDX and indirect descriptors.
//
// What the device writes is not trusted: all that is needed to take a buffer back (which descriptors it has, how long
// it is, whose it is) is kept in memory that the device doesn't see, and a completion that cannot be true breaks the
// queue: it says so in the log, once, and does nothing any more. Nor is anything that we wrote ever read back.
//
// One caller at a time, except where it says otherwise. No allocation after create().
#pragma once

#include "base/owned.h"
#include "base/result.h"
#include "base/vector.h"
#include "drivers/dma.h"
#include <span>

namespace eremite::virtio {

class Virtqueue {
public:
    struct Options {
        std::string_view owner; // for the log: "virtio-net"; lives as long as the queue
        u16 index { 0 };
        u16 size { 0 }; // a power of two, at most 32768
        bool event_index { false };
        /// How many tables of indirect descriptors there are, and how long each is; 0: none.
        u16 indirect_tables { 0 };
        u16 indirect_length { 0 };
    };
    /// Longer chains use a table of indirect descriptors if one is free: short ones are cheaper without.
    static constexpr usize k_longest_direct = 4;

    /// ENOMEM; EINVAL for a size that can't be.
    static Result<OwnPtr<Virtqueue>> create(const Options& options);
    ~Virtqueue();
    Virtqueue(const Virtqueue&) = delete;

    u16 index() const { return m_options.index; }
    u16 size() const { return m_options.size; }
    PhysicalAddress descriptor_area() const { return m_memory; }
    PhysicalAddress driver_area() const { return m_memory + m_driver_offset; }
    PhysicalAddress device_area() const { return m_memory + m_device_offset; }

    /// Whether a chain of `segments` can be pushed now.
    bool has_room(usize segments) const
    {
        return segments <= m_free_count || (m_free_count != 0 && uses_indirect(segments));
    }
    /// Offers a chain: first what the device reads, then what it writes. It sees it at the next publish(). `token`, not
    /// null, comes back with the completion. False if there is no room, or the queue is broken: nothing was taken.
    bool push(std::span<const DmaSegment> readable, std::span<const DmaSegment> writable, void* token);
    /// Shows the device what was pushed. True: it wants to be notified (Transport::notify()).
    bool publish();
    bool has_unpublished() const { return m_published != m_available; }
    /// How many chains the device has not been told of.
    u16 unpublished() const { return static_cast<u16>(m_available - m_published); }

    struct Completion {
        void* token { nullptr };
        u32 length { 0 }; // bytes that the device says it has written; at most what was writable
        u16 head { 0 };
    };
    /// Takes back what the device is done with. False if there is nothing.
    bool pop(Completion& completion);
    /// The two steps of pop(): looks at the next completion; then take() gives its descriptors back, or offer_again()
    /// gives the same chain to the device once more, with the next publish().
    bool look(Completion& completion);
    void take(const Completion& completion);
    void offer_again(const Completion& completion);
    /// Whether pop() would give something; one memory read. Any context.
    bool has_completions() const;
    /// How many chains the device has.
    u16 outstanding() const { return m_outstanding; }

    /// From now on the next completion raises an interrupt. True: there are completions already, take those first.
    bool enable_interrupts() { return enable_interrupts_after(1); }
    /// Likewise, the `count`-th from now (where the device has EVENT_IDX; else the next).
    bool enable_interrupts_after(u16 count);
    /// A hint. Any context, also while another processor uses the queue.
    void disable_interrupts();

    bool is_broken() const { return m_broken; }
    /// Shuts the queue and says why.
    void shut(std::string_view reason);
    /// After the device was reset: gives back one token that it had, in no order; null when there are no more.
    void* reclaim();

private:
    struct Descriptor {
        u64 address;
        u32 length;
        u16 flags;
        u16 next;
    };
    struct UsedElement {
        u32 id;
        u32 length;
    };
    /// What we remember of a chain, under its first descriptor's number.
    struct Chain {
        void* token { nullptr };
        u32 writable_length { 0 };
        u16 descriptors { 0 }; // 0: the device doesn't have it
        u16 indirect_table { k_none };
    };
    static constexpr u16 k_none = 0xffff;
    static constexpr u16 k_flag_next = 1;
    static constexpr u16 k_flag_write = 2;
    static constexpr u16 k_flag_indirect = 4;

    explicit Virtqueue(const Options& options)
        : m_options(options)
    {
    }
    Result<> allocate();
    bool uses_indirect(usize segments) const;
    std::span<Descriptor> indirect_table(u16 table);
    void release(u16 head);
    bool push_single(const DmaSegment& segment, bool writable, void* token);
    void offer(u16 head);

    Options m_options;
    PhysicalAddress m_memory;
    unsigned m_order { 0 };
    usize m_driver_offset { 0 };
    usize m_device_offset { 0 };
    PhysicalAddress m_indirect_memory;
    unsigned m_indirect_order { 0 };

    std::span<Descriptor> m_descriptors;
    std::span<u16> m_driver; // flags, index, ring, used_event
    std::span<u16> m_device; // flags, index; avail_event at the end
    std::span<UsedElement> m_used;
    std::span<Descriptor> m_indirect;

    Vector<Chain> m_chains;
    Vector<u16> m_next; // list of free descriptors, and the way along a chain
    Vector<u16> m_free_tables;
    u16 m_first_free { 0 };
    u16 m_free_count { 0 };
    u16 m_available { 0 }; // our index, published or not
    u16 m_published { 0 };
    u16 m_last_used { 0 };
    u16 m_outstanding { 0 };
    u16 m_reclaimed { 0 };
    bool m_broken { false };
};

/// A queue whose tokens are of one move-only type: while the device has the memory, no object of ours names it.
/// `Buffer` has release_token(), which gives up a pointer, and a static from_token() that takes it back.
template<typename Buffer> class BufferQueue {
public:
    constexpr BufferQueue() = default;
    explicit BufferQueue(OwnPtr<Virtqueue> queue)
        : m_queue(std::move(queue))
    {
    }
    BufferQueue(BufferQueue&&) = default;
    BufferQueue& operator=(BufferQueue&&) = default;
    /// The device must have been reset, or must never have seen it.
    ~BufferQueue() { drop_all(); }

    Virtqueue* operator->() const { return m_queue.get(); }
    Virtqueue& operator*() const { return *m_queue; }
    explicit operator bool() const { return static_cast<bool>(m_queue); }

    /// Takes the buffer if it returns true.
    bool push(Buffer& buffer, std::span<const DmaSegment> readable, std::span<const DmaSegment> writable)
    {
        if (!m_queue->has_room(readable.size() + writable.size()) || m_queue->is_broken())
            return false;
        return m_queue->push(readable, writable, buffer.release_token());
    }
    bool pop(Buffer& buffer, u32& length)
    {
        Virtqueue::Completion completion;
        if (!m_queue->pop(completion))
            return false;
        buffer = Buffer::from_token(static_cast<decltype(buffer.release_token())>(completion.token));
        length = completion.length;
        return true;
    }
    void drop_all()
    {
        if (!m_queue)
            return;
        while (void* token = m_queue->reclaim())
            Buffer::from_token(static_cast<decltype(std::declval<Buffer&>().release_token())>(token));
    }
    /// Drops the buffers but not the rings, at which an interrupt handler may still be looking. After a reset.
    void abandon()
    {
        drop_all();
        m_queue.leak();
    }

private:
    OwnPtr<Virtqueue> m_queue;
};

} // namespace eremite::virtio
