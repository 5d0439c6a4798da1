// Puts fragments of IPv4 and IPv6 datagrams together (RFC 791, RFC 8200 4.5). Overlapping fragments discard the
// datagram (RFC 5722); memory and time are limited.
#pragma once

#include "net/headers.h"
#include "net/timer_wheel.h"

namespace eremite::net {

class Reassembly {
public:
    static constexpr usize k_max_datagrams = 64;
    static constexpr usize k_max_memory = 1_MiB;
    static constexpr Nanoseconds k_timeout = Nanoseconds::from_seconds(30);

    struct Key {
        IpAddress source {};
        IpAddress destination {};
        u32 identification { 0 };
        Protocol protocol {};

        bool operator==(const Key&) const = default;
    };
    enum class Outcome { Waiting, Complete, Failed };

    /// Takes one fragment, `packet` being its payload alone. Complete: `packet` is the whole payload.
    Outcome add(const Key& key, Packet& packet, u32 offset, bool more, Nanoseconds now);
    /// Drops what waited too long; returns how many datagrams that was.
    usize expire(Nanoseconds now);
    bool is_empty();
    void clear();

private:
    struct Piece {
        u32 offset;
        u32 end;
    };
    struct Datagram {
        bool used { false };
        Key key {};
        Nanoseconds deadline {};
        u32 total { 0 }; // 0: the last fragment is still missing
        u32 received { 0 };
        u32 memory { 0 };
        PacketList pieces {}; // by offset, note: Piece
    };
    Datagram* find_or_make(const Key& key, Nanoseconds now) REQUIRES(m_lock);
    void drop(Datagram& datagram) REQUIRES(m_lock);
    static bool insert(Datagram& datagram, Packet packet, Piece piece);
    static Packet join(Datagram& datagram);

    SpinLock m_lock;
    std::array<Datagram, k_max_datagrams> m_datagrams GUARDED_BY(m_lock);
    usize m_memory GUARDED_BY(m_lock) { 0 };
};

} // namespace eremite::net
