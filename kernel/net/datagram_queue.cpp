#include "net/datagram_queue.h"

namespace eremite::net {

bool DatagramQueue::push(Packet packet, const DatagramNote& note, u32 limit)
{
    // A short datagram shall not hold a page that a device gave: many would fit into the limit but not into memory.
    if (packet.length() <= Buffer::capacity_of(Buffer::Size::Small) && packet.memory_size() > 1024) {
        if (auto copied = packet.copy(0); copied.has_value())
            packet = copied.release_value();
    }
    Locked lock(m_lock);
    u32 cost = cost_of(packet);
    if (m_memory + cost > limit && !m_packets.is_empty())
        return false;
    packet.note<DatagramNote>() = note;
    m_memory += cost;
    m_packets.push_back(std::move(packet));
    m_count.fetch_add(1, std::memory_order_release);
    return true;
}

Result<usize> DatagramQueue::receive(ReceiveRequest& request, DatagramNote& note)
{
    bool peek = (request.flags & abi::k_msg_peek) != 0;
    Packet packet;
    {
        Locked lock(m_lock);
        if (m_packets.is_empty())
            return Errno::EAGAIN;
        // Copying may sleep, so it happens without the lock, on a packet that nobody else has.
        if (peek) {
            packet = TRY(m_packets.first()->share(0, m_packets.first()->length()));
            note = m_packets.first()->note<DatagramNote>();
        } else {
            packet = m_packets.pop_front();
            note = packet.note<DatagramNote>();
            m_memory -= cost_of(packet);
            m_count.fetch_sub(1, std::memory_order_release);
        }
    }
    usize wanted = std::min<usize>(packet.length(), request.data.remaining());
    usize length = packet.length();
    if (wanted < length)
        request.result_flags |= abi::k_msg_trunc;
    usize done = 0;
    for (u32 i = 0; i < packet.fragment_count() && done < wanted; ++i) {
        auto bytes = packet.fragment(i).bytes();
        bytes = bytes.first(std::min(bytes.size(), wanted - done));
        TRY(request.data.put(bytes));
        done += bytes.size();
    }
    request.destination = note.destination;
    request.interface = note.interface;
    request.hop_limit = note.hop_limit;
    request.traffic_class = note.traffic_class;
    request.arrival = Nanoseconds(note.arrival);
    request.has_packet_info = true;
    return (request.flags & abi::k_msg_trunc) != 0 ? length : wanted;
}

usize DatagramQueue::next_length()
{
    Locked lock(m_lock);
    return m_packets.is_empty() ? 0 : m_packets.first()->length();
}

void DatagramQueue::clear()
{
    Locked lock(m_lock);
    m_packets.clear();
    m_memory = 0;
    m_count.store(0, std::memory_order_release);
}

} // namespace eremite::net
