#include "drivers/virtio/request_queue.h"

#include "base/log.h"

namespace eremite::virtio {

Result<> RequestQueue::create(std::string_view owner, u16 index, u16 size, u16 longest)
{
    auto queue = TRY(m_transport.create_queue(owner, index, size, 32, longest));
    TRY(m_transport.set_queue_handler(
        index, [](void* self) { static_cast<RequestQueue*>(self)->on_interrupt(); }, this));
    m_longest = longest;
    Locked lock(m_lock);
    m_queue = std::move(queue);
    m_queue->enable_interrupts();
    return {};
}

Result<> RequestQueue::push(
    std::span<const DmaSegment> readable, std::span<const DmaSegment> writable, Request& request, Nanoseconds deadline)
{
    usize count = readable.size() + writable.size();
    if (count > m_longest || count > m_queue->size())
        return Errno::EINVAL;
    TRY(m_changed.wait_until(
        m_lock, [&] NO_THREAD_SAFETY_ANALYSIS { return m_failed || m_queue->has_room(count); }, deadline,
        Interruptible::No));
    if (m_failed || !m_queue->push(readable, writable, &request))
        return Errno::EIO;
    m_transport.publish_and_notify(*m_queue);
    return {};
}

Result<> RequestQueue::wait_for(const Request& request, Nanoseconds deadline)
{
    return m_changed.wait_until(
        m_lock, [&] NO_THREAD_SAFETY_ANALYSIS { return request.is_done; }, deadline, Interruptible::No);
}

Result<u32> RequestQueue::exchange(std::span<const DmaSegment> readable, std::span<const DmaSegment> writable)
{
    Request request;
    Locked lock(m_lock);
    TRY(push(readable, writable, request, Nanoseconds::max()));
    TRY(wait_for(request, Nanoseconds::max()));
    if (m_failed)
        return Errno::EIO;
    return request.length;
}

Result<u32> RequestQueue::exchange(std::span<const DmaSegment> readable, std::span<const DmaSegment> writable,
    OwnPtr<RequestMemory>& memory, Nanoseconds deadline)
{
    OwnPtr<Request> request = TRY(make<Request>());
    Locked lock(m_lock);
    TRY(push(readable, writable, *request, deadline));
    if (wait_for(*request, deadline).is_error()) {
        memory->on_late();
        request->late = std::move(memory);
        static_cast<void>(request.leak());
        return Errno::ETIMEDOUT;
    }
    if (m_failed)
        return Errno::EIO;
    return request->length;
}

Result<> RequestQueue::send(void* memory, usize size, Nanoseconds deadline)
{
    auto created = make<Request>();
    if (created.is_error()) {
        kfree(memory, size);
        return created.error();
    }
    Request* request = created.release_value().leak();
    request->is_message = true;
    request->memory = memory;
    request->size = size;
    const std::array readable { dma_segment(std::span(static_cast<const u8*>(memory), size)) };
    Locked lock(m_lock);
    Result<> result = push(readable, {}, *request, deadline);
    if (result.is_error())
        finish(*request, 0);
    return result;
}

void RequestQueue::finish(Request& request, u32 length)
{
    if (request.is_message) {
        kfree(request.memory, request.size);
        kfree(&request, sizeof(Request));
        return;
    }
    if (request.late) {
        static_cast<void>(OwnPtr<Request>::adopt(&request));
        return;
    }
    request.length = length;
    request.is_done = true;
}

void RequestQueue::take_completed()
{
    Virtqueue::Completion completion;
    do {
        while (m_queue->pop(completion))
            finish(*static_cast<Request*>(completion.token), completion.length);
    } while (m_queue->enable_interrupts());
}

void RequestQueue::on_interrupt()
{
    bool broke;
    {
        Locked lock(m_lock);
        if (!m_queue || m_failed)
            return;
        take_completed();
        broke = m_queue->is_broken();
    }
    if (broke)
        fail("it broke the rules of its queue");
    else
        m_changed.wake_all();
}

void RequestQueue::fail(std::string_view reason)
{
    {
        Locked lock(m_lock);
        if (m_failed)
            return;
        m_failed = true;
        log_error("virtio: the device at {} is given up: {}", m_transport.location(), reason);
        bool is_reset = m_transport.reset();
        if (m_queue) {
            m_queue->shut("the device is given up");
            // Without the reset the device may still write: then nobody gets memory back, and who waits, waits.
            while (void* token = is_reset ? m_queue->reclaim() : nullptr)
                finish(*static_cast<Request*>(token), 0);
        }
    }
    m_changed.wake_all();
}

} // namespace eremite::virtio
