// All that a TCP segment can be for, by its four numbers: connections, connection requests, connections in TIME_WAIT.
// Sharded hash tables that grow; the cost of a lookup doesn't depend on how many there are.
#pragma once

#include "base/owned.h"
#include "base/vector.h"
#include "net/ip_address.h"
#include "net/siphash.h"
#include "sync/spin_lock.h"

namespace eremite::net {

struct TcpKey {
    IpAddress local {};
    IpAddress remote {};
    u16 local_port { 0 };
    u16 remote_port { 0 };

    bool operator==(const TcpKey&) const = default;
    u64 hash(const HashKey& key) const
    {
        return mix(key, remote.low() ^ std::rotl(remote.high(), 17), local.low() ^ std::rotl(local.high(), 41),
            u64 { local_port } << 16 | remote_port);
    }
};

class TcpEntry : public RefCounted<TcpEntry> {
public:
    enum class Kind : u8 { Connection, Request, TimeWait };

    virtual ~TcpEntry() = default;
    Kind kind() const { return m_kind; }
    const TcpKey& key() const { return m_key; }

protected:
    TcpEntry(Kind kind, const TcpKey& key)
        : m_key(key)
        , m_kind(kind)
    {
    }

private:
    friend class TcpTable;
    TcpKey m_key;
    u64 m_hash { 0 };
    RefPtr<TcpEntry> m_next;
    Kind m_kind;
    std::atomic<bool> m_listed { false };
};

class TcpTable {
public:
    explicit TcpTable(const HashKey& key)
        : m_key(key)
    {
    }
    /// ENOMEM.
    Result<> initialize();

    RefPtr<TcpEntry> find(const TcpKey& key);
    /// EADDRINUSE if the key is taken; ENOMEM.
    Result<> insert(RefPtr<TcpEntry> entry);
    /// Puts `entry` in the place of `old` with the same key; false if `old` is no longer there.
    bool replace(TcpEntry& old, RefPtr<TcpEntry> entry);
    /// False if it was not (any longer) in the table.
    bool remove(TcpEntry& entry);
    usize count() const { return m_count.load(std::memory_order_relaxed); }

    /// Calls `visit` for every entry, under the shard's lock, until it returns false.
    template<typename Visit> void for_each(Visit visit)
    {
        for (Shard& shard : m_shards) {
            Locked lock(shard.lock);
            for (auto& bucket : shard.buckets) {
                for (TcpEntry* entry = bucket.get(); entry; entry = entry->m_next.get()) {
                    if (!visit(*entry))
                        return;
                }
            }
        }
    }
    /// An entry, or null if there is none: to empty the table.
    RefPtr<TcpEntry> any();

private:
    static constexpr usize k_shards = 16;
    static constexpr usize k_first_size = 16;
    struct Shard {
        SpinLock lock;
        Vector<RefPtr<TcpEntry>> buckets GUARDED_BY(lock);
        usize count GUARDED_BY(lock) { 0 };
    };
    Shard& shard_of(u64 hash) { return m_shards[hash >> 60]; }
    static void grow(Shard& shard) REQUIRES(shard.lock);
    static RefPtr<TcpEntry>* place_of(Shard& shard, const TcpEntry& entry) REQUIRES(shard.lock);

    const HashKey& m_key;
    std::array<Shard, k_shards> m_shards;
    std::atomic<usize> m_count { 0 };
};

} // namespace eremite::net
