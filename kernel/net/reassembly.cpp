#include "net/reassembly.h"

namespace eremite::net {

void Reassembly::drop(Datagram& datagram)
{
    m_memory -= datagram.memory;
    datagram.pieces.clear();
    datagram.used = false;
    datagram.total = 0;
    datagram.received = 0;
    datagram.memory = 0;
}

Reassembly::Datagram* Reassembly::find_or_make(const Key& key, Nanoseconds now)
{
    Datagram* place = nullptr;
    for (Datagram& datagram : m_datagrams) {
        if (datagram.used && datagram.key == key)
            return &datagram;
        if (!datagram.used) {
            if (!place || place->used)
                place = &datagram;
        } else if (!place || (place->used && datagram.deadline < place->deadline)) {
            place = &datagram;
        }
    }
    if (place->used)
        drop(*place);
    place->used = true;
    place->key = key;
    place->deadline = now + k_timeout;
    return place;
}

/// False if it overlaps another piece; an exact duplicate is ignored.
bool Reassembly::insert(Datagram& datagram, Packet packet, Piece piece)
{
    Packet* before = nullptr;
    for (Packet* place = datagram.pieces.first(); place; place = datagram.pieces.next(place)) {
        auto& other = place->note<Piece>();
        if (other.offset == piece.offset && other.end == piece.end)
            return true;
        if (other.offset >= piece.end)
            break;
        if (other.end > piece.offset)
            return false;
        before = place;
    }
    packet.note<Piece>() = piece;
    datagram.received += piece.end - piece.offset;
    if (before)
        datagram.pieces.insert_after(before, std::move(packet));
    else
        datagram.pieces.push_front(std::move(packet));
    return true;
}

/// All pieces as one packet; empty if memory is short. Shares the buffers, or copies if they are too many.
Packet Reassembly::join(Datagram& datagram)
{
    u32 fragments = 0;
    for (Packet* place = datagram.pieces.first(); place; place = datagram.pieces.next(place))
        fragments += place->fragment_count();
    auto created = Packet::create();
    if (created.is_error())
        return {};
    Packet whole = created.release_value();
    if (fragments <= Packet::k_max_fragments) {
        while (!datagram.pieces.is_empty()) {
            Packet piece = datagram.pieces.pop_front();
            for (u32 i = 0; i < piece.fragment_count(); ++i) {
                Fragment& fragment = piece.fragment(i);
                if (fragment.length > 0)
                    whole.append(fragment.buffer, fragment.offset, fragment.length);
            }
        }
        return whole;
    }
    while (!datagram.pieces.is_empty()) {
        Packet piece = datagram.pieces.pop_front();
        u32 copied = 0;
        while (copied < piece.length()) {
            u32 free = 0;
            if (whole.fragment_count() > 0) {
                Fragment& last = whole.fragment(whole.fragment_count() - 1);
                free = last.buffer->capacity() - last.offset - last.length;
            }
            if (free == 0) {
                auto buffer = Buffer::create(Buffer::Size::Page);
                if (buffer.is_error() || !whole.append(buffer.release_value(), 0, 0))
                    return {};
                continue;
            }
            u32 step = std::min(free, piece.length() - copied);
            piece.copy_out(copied, whole.grow_tail(step));
            copied += step;
        }
    }
    return whole;
}

Reassembly::Outcome Reassembly::add(const Key& key, Packet& packet, u32 offset, bool more, Nanoseconds now)
{
    u32 end = offset + packet.length();
    if (end > 65535 || packet.length() == 0 || (more && packet.length() % 8 != 0))
        return Outcome::Failed;
    Locked lock(m_lock);
    Datagram* datagram = find_or_make(key, now);
    u32 memory = packet.memory_size();
    bool consistent = datagram->total == 0 ? true : more ? end <= datagram->total : end == datagram->total;
    if (!more)
        datagram->total = end;
    // A first fragment that another one reaches beyond the end of also lies.
    if (consistent && !more) {
        for (Packet* place = datagram->pieces.first(); place; place = datagram->pieces.next(place))
            consistent = consistent && place->note<Piece>().end <= end;
    }
    if (!consistent || m_memory + memory > k_max_memory || !insert(*datagram, std::move(packet), { offset, end })) {
        drop(*datagram);
        return Outcome::Failed;
    }
    datagram->memory += memory;
    m_memory += memory;
    if (datagram->total == 0 || datagram->received != datagram->total)
        return Outcome::Waiting;
    packet = join(*datagram);
    drop(*datagram);
    return packet ? Outcome::Complete : Outcome::Failed;
}

usize Reassembly::expire(Nanoseconds now)
{
    Locked lock(m_lock);
    usize count = 0;
    for (Datagram& datagram : m_datagrams) {
        if (datagram.used && datagram.deadline <= now) {
            drop(datagram);
            ++count;
        }
    }
    return count;
}

bool Reassembly::is_empty()
{
    Locked lock(m_lock);
    return m_memory == 0;
}

void Reassembly::clear()
{
    Locked lock(m_lock);
    for (Datagram& datagram : m_datagrams) {
        if (datagram.used)
            drop(datagram);
    }
}

} // namespace eremite::net
