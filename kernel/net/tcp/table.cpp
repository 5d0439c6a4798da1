#include "net/tcp/table.h"

namespace eremite::net {

Result<> TcpTable::initialize()
{
    for (Shard& shard : m_shards) {
        Locked lock(shard.lock);
        TRY(shard.buckets.try_resize(k_first_size));
    }
    return {};
}

RefPtr<TcpEntry> TcpTable::find(const TcpKey& key)
{
    u64 hash = key.hash(m_key);
    Shard& shard = shard_of(hash);
    Locked lock(shard.lock);
    for (TcpEntry* entry = shard.buckets[hash & (shard.buckets.size() - 1)].get(); entry; entry = entry->m_next.get()) {
        if (entry->m_hash == hash && entry->m_key == key)
            return RefPtr<TcpEntry>(entry);
    }
    return {};
}

void TcpTable::grow(Shard& shard)
{
    Vector<RefPtr<TcpEntry>> larger;
    if (larger.try_resize(shard.buckets.size() * 2).is_error())
        return; // longer chains until memory is there
    for (auto& bucket : shard.buckets) {
        while (bucket) {
            RefPtr<TcpEntry> entry = std::move(bucket);
            bucket = std::move(entry->m_next);
            auto& place = larger[entry->m_hash & (larger.size() - 1)];
            entry->m_next = std::move(place);
            place = std::move(entry);
        }
    }
    shard.buckets = std::move(larger);
}

Result<> TcpTable::insert(RefPtr<TcpEntry> entry)
{
    u64 hash = entry->m_key.hash(m_key);
    Shard& shard = shard_of(hash);
    Locked lock(shard.lock);
    for (TcpEntry* other = shard.buckets[hash & (shard.buckets.size() - 1)].get(); other; other = other->m_next.get()) {
        if (other->m_hash == hash && other->m_key == entry->m_key)
            return Errno::EADDRINUSE;
    }
    if (shard.count >= shard.buckets.size())
        grow(shard);
    entry->m_hash = hash;
    entry->m_listed.store(true, std::memory_order_relaxed);
    auto& bucket = shard.buckets[hash & (shard.buckets.size() - 1)];
    entry->m_next = std::move(bucket);
    bucket = std::move(entry);
    ++shard.count;
    m_count.fetch_add(1, std::memory_order_relaxed);
    return {};
}

RefPtr<TcpEntry>* TcpTable::place_of(Shard& shard, const TcpEntry& entry)
{
    if (!entry.m_listed.load(std::memory_order_relaxed))
        return nullptr;
    RefPtr<TcpEntry>* place = &shard.buckets[entry.m_hash & (shard.buckets.size() - 1)];
    while (place->get() != &entry)
        place = &(*place)->m_next;
    return place;
}

bool TcpTable::replace(TcpEntry& old, RefPtr<TcpEntry> entry)
{
    RefPtr<TcpEntry> dropped;
    Shard& shard = shard_of(old.m_hash);
    Locked lock(shard.lock);
    auto* place = place_of(shard, old);
    if (!place)
        return false;
    entry->m_hash = old.m_hash;
    entry->m_listed.store(true, std::memory_order_relaxed);
    entry->m_next = std::move(old.m_next);
    old.m_listed.store(false, std::memory_order_relaxed);
    dropped = std::move(*place);
    *place = std::move(entry);
    return true;
}

bool TcpTable::remove(TcpEntry& entry)
{
    RefPtr<TcpEntry> dropped;
    Shard& shard = shard_of(entry.m_hash);
    Locked lock(shard.lock);
    auto* place = place_of(shard, entry);
    if (!place)
        return false;
    entry.m_listed.store(false, std::memory_order_relaxed);
    dropped = std::move(*place);
    *place = std::move(dropped->m_next);
    --shard.count;
    m_count.fetch_sub(1, std::memory_order_relaxed);
    return true;
}

RefPtr<TcpEntry> TcpTable::any()
{
    RefPtr<TcpEntry> found;
    for_each([&](TcpEntry& entry) {
        found = RefPtr<TcpEntry>(&entry);
        return false;
    });
    return found;
}

} // namespace eremite::net
