// What datagram sockets (UDP, raw) have received and not yet given to the application.
#pragma once

#include "device/packet.h"
#include "net/socket.h"
#include "sync/spin_lock.h"

namespace eremite::net {

/// Goes with each datagram.
struct DatagramNote {
    IpAddress source {};
    IpAddress destination {};
    i64 arrival { 0 };
    u32 interface { 0 };
    u16 source_port { 0 };
    u8 hop_limit { 0 };
    u8 traffic_class { 0 };
};

class DatagramQueue {
public:
    /// False (packet dropped) when `limit` bytes of buffers already wait.
    bool push(Packet packet, const DatagramNote& note, u32 limit);
    /// Copies the first datagram out, and removes it unless MSG_PEEK. EAGAIN.
    Result<usize> receive(ReceiveRequest& request, DatagramNote& note);
    bool is_empty() const { return m_count.load(std::memory_order_acquire) == 0; }
    /// Length of the first datagram.
    usize next_length();
    void clear();

private:
    static u32 cost_of(Packet& packet) { return packet.memory_size() + 256; }
    SpinLock m_lock;
    PacketList m_packets GUARDED_BY(m_lock);
    u64 m_memory GUARDED_BY(m_lock) { 0 };
    std::atomic<u32> m_count { 0 };
};

} // namespace eremite::net
