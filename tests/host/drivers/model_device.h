// The device's side of a split virtqueue (virtio 1.2, 2.7), written from the specification alone, which can also
// misbehave.
#pragma once

#include "drivers/virtio/virtqueue.h"
#include "mm/frames.h"
#include <cstring>
#include <optional>
#include <vector>

namespace eremite::virtio {

class ModelDevice {
public:
    ModelDevice(const Virtqueue& queue, bool event_index)
        : m_size(queue.size())
        , m_event_index(event_index)
        , m_descriptors(static_cast<u8*>(direct_map(queue.descriptor_area())))
        , m_driver(static_cast<u8*>(direct_map(queue.driver_area())))
        , m_device(static_cast<u8*>(direct_map(queue.device_area())))
    {
    }

    struct Segment {
        u64 address { 0 };
        u32 length { 0 };
        bool writable { false };
    };
    struct Chain {
        u16 head { 0 };
        std::vector<Segment> segments;
    };

    /// The next chain that the driver has published.
    std::optional<Chain> take()
    {
        if (get<u16>(m_driver, 2) == m_next)
            return {};
        u16 head = get<u16>(m_driver, 4 + 2 * (m_next++ % m_size));
        Chain chain { head, {} };
        walk(m_descriptors, head, chain);
        return chain;
    }

    /// Gives a chain back; `id` and `length` may be lies.
    void give_back(u32 id, u32 length)
    {
        usize element = 4 + 8 * (m_used % m_size);
        set<u32>(m_device, element, id);
        set<u32>(m_device, element + 4, length);
        set_used_index(static_cast<u16>(m_used + 1));
    }
    void set_used_index(u16 index)
    {
        m_used = index;
        set<u16>(m_device, 2, index);
    }
    u16 used_index() const { return m_used; }

    /// Whether the driver wants an interrupt for what was given back since `before`.
    bool is_interrupt_wanted(u16 before) const
    {
        if (!m_event_index)
            return (get<u16>(m_driver, 0) & 1) == 0;
        u16 event = get<u16>(m_driver, 4 + 2 * usize { m_size });
        return static_cast<u16>(m_used - event - 1) < static_cast<u16>(m_used - before);
    }
    /// Be told when the driver's index passes `index`.
    void ask_for_notification(u16 index) { set<u16>(m_device, 4 + 8 * usize { m_size }, index); }

private:
    template<typename T> static T get(const u8* area, usize offset)
    {
        T value;
        std::memcpy(&value, area + offset, sizeof(T));
        return value;
    }
    template<typename T> static void set(u8* area, usize offset, T value)
    {
        std::memcpy(area + offset, &value, sizeof(T));
    }

    void walk(const u8* table, u16 at, Chain& chain)
    {
        while (true) {
            const usize offset = 16 * usize { at };
            const u64 address = get<u64>(table, offset);
            const u32 length = get<u32>(table, offset + 8);
            const u16 flags = get<u16>(table, offset + 12);
            if ((flags & 4) != 0)
                return walk(static_cast<const u8*>(direct_map(PhysicalAddress(address))), 0, chain);
            chain.segments.push_back({ address, length, (flags & 2) != 0 });
            if ((flags & 1) == 0)
                return;
            at = get<u16>(table, offset + 14);
        }
    }

    u16 m_size;
    bool m_event_index;
    u8* m_descriptors;
    u8* m_driver;
    u8* m_device;
    u16 m_next { 0 };
    u16 m_used { 0 };
};

} // namespace eremite::virtio
