#include "net/loopback.h"

namespace eremite::net {

LoopbackDevice::LoopbackDevice()
    : NetDevice("lo")
{
    m_loopback = true;
    m_features = { .checksum = true, .tso4 = true, .tso6 = true, .uso = false };
    set_mtu(65536);
}

bool LoopbackDevice::transmit(Packet& packet)
{
    u32 length = packet.length();
    // No wire was passed: nothing is to be summed, and a super-segment arrives as it is.
    packet.offload().checksum_verified = true;
    {
        Locked lock(m_lock);
        if (m_queue.count() >= k_queue_limit)
            return false;
        m_queue.push_back(std::move(packet));
    }
    m_waiting.store(true, std::memory_order_release);
    auto& counters = statistics();
    counters.transmitted_packets.fetch_add(1, std::memory_order_relaxed);
    counters.transmitted_bytes.fetch_add(length, std::memory_order_relaxed);
    counters.received_packets.fetch_add(1, std::memory_order_relaxed);
    counters.received_bytes.fetch_add(length, std::memory_order_relaxed);
    return true;
}

usize LoopbackDevice::receive(PacketList& list, usize budget)
{
    Locked lock(m_lock);
    usize count = 0;
    while (count < budget && !m_queue.is_empty()) {
        list.push_back(m_queue.pop_front());
        ++count;
    }
    m_waiting.store(!m_queue.is_empty(), std::memory_order_release);
    return count;
}

} // namespace eremite::net
