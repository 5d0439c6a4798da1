// Who has which hardware address on a link: ARP's table and ND's neighbour cache in one (RFC 826, RFC 4861 section 7).
//
// An entry is shared with the connections that use it, which look only at two atomics on the fast path.
#pragma once

#include "base/intrusive.h"
#include "base/owned.h"
#include "device/net_device.h"
#include "net/ip_address.h"
#include "sync/spin_lock.h"

namespace eremite::net {

class Neighbour : public RefCounted<Neighbour> {
public:
    enum class State : u8 {
        Incomplete, // asked, no answer yet; packets wait
        Reachable, // confirmed within the last 30 s
        Stale, // known, but not confirmed lately
        Delay, // used while stale: we wait 5 s for a confirmation from above
        Probe, // being asked again
        Dead, // out of the table
    };

    explicit Neighbour(IpAddress address)
        : m_address(address)
    {
    }

    IpAddress address() const { return m_address; }
    State state() const { return m_state.load(std::memory_order_acquire); }
    MacBytes mac() const
    {
        auto bytes = std::bit_cast<std::array<u8, 8>>(m_mac.load(std::memory_order_relaxed));
        return { bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5] };
    }
    /// Packets can be sent without further ado.
    bool is_fresh(Nanoseconds now) const
    {
        return state() == State::Reachable && now.value() < m_fresh_until.load(std::memory_order_relaxed);
    }
    /// Progress of a connection shows that the neighbour is there (RFC 4861, 7.3.1).
    void confirm(Nanoseconds now);

private:
    friend class NeighbourTable;
    void set_mac(MacBytes mac)
    {
        m_mac.store(std::bit_cast<u64>(std::array<u8, 8> { mac[0], mac[1], mac[2], mac[3], mac[4], mac[5], 0, 0 }),
            std::memory_order_relaxed);
    }

    IpAddress m_address;
    std::atomic<u64> m_mac { 0 };
    std::atomic<i64> m_fresh_until { 0 };
    std::atomic<State> m_state { State::Incomplete };
    // The rest is under the table's lock.
    u8 m_probes { 0 };
    u16 m_ethertype { 0 };
    Nanoseconds m_next_probe {};
    Nanoseconds m_used {};
    PacketList m_waiting;
    RefPtr<Neighbour> m_next;
};

/// What the table asks of its interface.
class NeighbourOwner {
public:
    /// Sends an ARP request or neighbour solicitation: to everybody, or to `mac` alone. The table's lock is not held.
    virtual void solicit(IpAddress target, const MacBytes* mac) = 0;
    /// Sends an IP packet whose neighbour became known.
    virtual void send_resolved(Packet packet, u16 ethertype, MacBytes destination) = 0;
    /// Nobody answered for it; the packet could not be sent.
    virtual void unresolved(Packet packet, u16 ethertype) = 0;
    /// probe() wants to be called by then.
    virtual void arm_probe(Nanoseconds deadline) = 0;

protected:
    ~NeighbourOwner() = default;
};

class NeighbourTable {
public:
    static constexpr usize k_max_entries = 1024;
    static constexpr usize k_max_waiting = 16;

    explicit NeighbourTable(NeighbourOwner& owner)
        : m_owner(owner)
    {
    }
    ~NeighbourTable() { clear(); }

    /// The entry for `address`, made if need be. ENOMEM.
    Result<RefPtr<Neighbour>> get(IpAddress address, Nanoseconds now);
    /// Sends `packet` to the neighbour, now or when it is known. For whatever is not fresh.
    void send(Neighbour& neighbour, Packet packet, u16 ethertype, Nanoseconds now);
    /// Somebody said that `address` is at `mac`. `solicited`: it answered us. `create`: worth a new entry.
    /// `override_known`: replaces another address that we had.
    void learn(IpAddress address, MacBytes mac, bool solicited, bool override_known, bool create, Nanoseconds now);
    /// Asks again where an answer is overdue, gives up where it never came.
    void probe(Nanoseconds now);
    void clear();
    /// Copies entries for display; returns how many were copied.
    struct Snapshot {
        IpAddress address {};
        MacBytes mac {};
        Neighbour::State state {};
    };
    usize snapshot(std::span<Snapshot> entries);

private:
    static constexpr usize k_buckets = 64;
    RefPtr<Neighbour>& bucket(IpAddress address) REQUIRES(m_lock)
    {
        u64 hash = (address.low() ^ address.high()) * 0x9e37'79b9'7f4a'7c15;
        return m_buckets[hash >> 58];
    }
    Neighbour* find(IpAddress address) REQUIRES(m_lock);
    void evict_one() REQUIRES(m_lock);
    void become_known(Neighbour& neighbour, bool reachable, Nanoseconds now) REQUIRES(m_lock);

    NeighbourOwner& m_owner;
    SpinLock m_lock;
    std::array<RefPtr<Neighbour>, k_buckets> m_buckets GUARDED_BY(m_lock);
    usize m_count GUARDED_BY(m_lock) { 0 };
    usize m_next_victim GUARDED_BY(m_lock) { 0 };
};

} // namespace eremite::net
