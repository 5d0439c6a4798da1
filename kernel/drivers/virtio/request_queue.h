// A virtqueue of requests, each of which a thread waits for: virtio-blk and virtio-fs.
#pragma once

#include "device/request_memory.h"
#include "drivers/virtio/transport.h"
#include "sched/wait_queue.h"
#include "sync/spin_lock.h"

namespace eremite::virtio {

/// Any thread; sleeps. When the device breaks the rules, asks for a reset or disappears, it is reset, so that it writes
/// to nothing any more, and every request ends with EIO, those to come as well.
class RequestQueue {
public:
    explicit RequestQueue(Transport& transport)
        : m_transport(transport)
    {
    }

    /// Makes queue `index`; chains have at most `longest` segments. After negotiate(), before start().
    Result<> create(std::string_view owner, u16 index, u16 size, u16 longest);
    /// Sends a request and waits until the device is done with it. Returns how many bytes it says it wrote. The memory
    /// lies in the kernel heap or frames of the direct map. EIO; EINVAL: more segments than create() was told.
    Result<u32> exchange(std::span<const DmaSegment> readable, std::span<const DmaSegment> writable);
    /// Likewise, but waits until `deadline` at most. ETIMEDOUT: `memory`, whose the segments are, is the queue's now.
    Result<u32> exchange(std::span<const DmaSegment> readable, std::span<const DmaSegment> writable,
        OwnPtr<RequestMemory>& memory, Nanoseconds deadline);
    /// Sends a message whose answer nobody waits for, and frees `memory` (`size` bytes of the heap) when the device has
    /// read it. ETIMEDOUT: there was no room by `deadline`.
    Result<> send(void* memory, usize size, Nanoseconds deadline);
    /// The device is broken: everybody gets EIO.
    void fail(std::string_view reason);

private:
    struct Request {
        bool is_done { false };
        bool is_message { false }; // nobody waits: `memory` and this are freed
        u32 length { 0 };
        void* memory { nullptr };
        usize size { 0 };
        OwnPtr<RequestMemory> late {}; // nobody waits any more, and this is on the heap
    };

    void on_interrupt();
    void take_completed() REQUIRES(m_lock);
    void finish(Request& request, u32 length) REQUIRES(m_lock);
    Result<> push(std::span<const DmaSegment> readable, std::span<const DmaSegment> writable, Request& request,
        Nanoseconds deadline) REQUIRES(m_lock);
    Result<> wait_for(const Request& request, Nanoseconds deadline) REQUIRES(m_lock);

    Transport& m_transport;
    u16 m_longest { 0 };
    InterruptSpinLock m_lock;
    OwnPtr<Virtqueue> m_queue GUARDED_BY(m_lock);
    bool m_failed GUARDED_BY(m_lock) { false };
    WaitQueue m_changed; // a request is done, or there is room
};

} // namespace eremite::virtio
