#include "net/neighbour.h"

namespace eremite::net {

namespace {

constexpr Nanoseconds k_reachable = Nanoseconds::from_seconds(30);
constexpr Nanoseconds k_delay_first_probe = Nanoseconds::from_seconds(5);
constexpr Nanoseconds k_retransmit = Nanoseconds::from_seconds(1);
constexpr u8 k_max_probes = 3;

} // namespace

void Neighbour::confirm(Nanoseconds now)
{
    State current = state();
    if (current == State::Incomplete || current == State::Dead)
        return;
    m_fresh_until.store((now + k_reachable).value(), std::memory_order_relaxed);
    if (current != State::Reachable)
        m_state.store(State::Reachable, std::memory_order_release);
}

Neighbour* NeighbourTable::find(IpAddress address)
{
    for (Neighbour* entry = bucket(address).get(); entry; entry = entry->m_next.get()) {
        if (entry->m_address == address)
            return entry;
    }
    return nullptr;
}

Result<RefPtr<Neighbour>> NeighbourTable::get(IpAddress address, Nanoseconds now)
{
    Locked lock(m_lock);
    if (Neighbour* entry = find(address))
        return RefPtr<Neighbour>(entry);
    if (m_count >= k_max_entries)
        evict_one();
    auto entry = TRY(make_ref<Neighbour>(address));
    entry->m_used = now;
    auto& first = bucket(address);
    entry->m_next = std::move(first);
    first = entry;
    ++m_count;
    return entry;
}

/// Drops an entry that is not being resolved for somebody, going round the buckets.
void NeighbourTable::evict_one()
{
    for (usize tried = 0; tried < k_buckets; ++tried) {
        auto& first = m_buckets[m_next_victim++ % k_buckets];
        if (!first)
            continue;
        RefPtr<Neighbour> victim = std::move(first);
        first = std::move(victim->m_next);
        victim->m_state.store(Neighbour::State::Dead, std::memory_order_release);
        victim->m_waiting.clear();
        --m_count;
        return;
    }
}

void NeighbourTable::send(Neighbour& neighbour, Packet packet, u16 ethertype, Nanoseconds now)
{
    bool ask = false;
    bool arm = false;
    Nanoseconds deadline {};
    {
        Locked lock(m_lock);
        neighbour.m_used = now;
        switch (neighbour.state()) {
        case Neighbour::State::Reachable:
            if (now.value() < neighbour.m_fresh_until.load(std::memory_order_relaxed))
                break;
            [[fallthrough]];
        case Neighbour::State::Stale:
            neighbour.m_state.store(Neighbour::State::Delay, std::memory_order_release);
            neighbour.m_next_probe = deadline = now + k_delay_first_probe;
            neighbour.m_probes = 0;
            arm = true;
            break;
        case Neighbour::State::Delay:
        case Neighbour::State::Probe:
            break;
        case Neighbour::State::Dead:
            packet = {};
            break;
        case Neighbour::State::Incomplete:
            if (neighbour.m_waiting.count() >= k_max_waiting)
                neighbour.m_waiting.pop_front();
            neighbour.m_ethertype = ethertype;
            neighbour.m_waiting.push_back(std::move(packet));
            if (neighbour.m_probes == 0) {
                neighbour.m_probes = 1;
                neighbour.m_next_probe = deadline = now + k_retransmit;
                ask = arm = true;
            }
            break;
        }
    }
    if (packet)
        m_owner.send_resolved(std::move(packet), ethertype, neighbour.mac());
    if (ask)
        m_owner.solicit(neighbour.m_address, nullptr);
    if (arm)
        m_owner.arm_probe(deadline);
}

void NeighbourTable::become_known(Neighbour& neighbour, bool reachable, Nanoseconds now)
{
    neighbour.m_probes = 0;
    if (reachable)
        neighbour.m_fresh_until.store((now + k_reachable).value(), std::memory_order_relaxed);
    neighbour.m_state.store(
        reachable ? Neighbour::State::Reachable : Neighbour::State::Stale, std::memory_order_release);
}

void NeighbourTable::learn(
    IpAddress address, MacBytes mac, bool solicited, bool override_known, bool create, Nanoseconds now)
{
    RefPtr<Neighbour> entry;
    PacketList waiting;
    if (create && get(address, now).is_error())
        return;
    {
        Locked lock(m_lock);
        entry = find(address);
        if (!entry)
            return;
        bool known = entry->state() != Neighbour::State::Incomplete;
        if (known && entry->mac() != mac) {
            if (!override_known) {
                // Somebody else claims the address: doubt what we have, but don't believe the newcomer.
                if (entry->state() == Neighbour::State::Reachable)
                    entry->m_state.store(Neighbour::State::Stale, std::memory_order_release);
                return;
            }
            entry->set_mac(mac);
            become_known(*entry, solicited, now);
        } else {
            entry->set_mac(mac);
            if (!known || solicited)
                become_known(*entry, solicited, now);
        }
        waiting.append(std::move(entry->m_waiting));
    }
    while (!waiting.is_empty())
        m_owner.send_resolved(waiting.pop_front(), entry->m_ethertype, mac);
}

void NeighbourTable::probe(Nanoseconds now)
{
    Nanoseconds next = Nanoseconds::max();
    PacketList failed;
    u16 ethertype = 0;
    // Solicitations are sent without the lock, so a few are gathered at a time.
    struct Question {
        IpAddress address {};
        MacBytes mac {};
        bool unicast { false };
    };
    std::array<Question, 16> questions {};
    usize count = 0;
    {
        Locked lock(m_lock);
        for (auto& first : m_buckets) {
            RefPtr<Neighbour>* place = &first;
            while (Neighbour* entry = place->get()) {
                auto state = entry->state();
                bool waits = state == Neighbour::State::Incomplete || state == Neighbour::State::Delay
                    || state == Neighbour::State::Probe;
                if (!waits || entry->m_next_probe > now) {
                    if (waits)
                        next = std::min(next, entry->m_next_probe);
                    place = &entry->m_next;
                    continue;
                }
                if (entry->m_probes >= k_max_probes) {
                    entry->m_state.store(Neighbour::State::Dead, std::memory_order_release);
                    ethertype = entry->m_ethertype;
                    failed.append(std::move(entry->m_waiting));
                    RefPtr<Neighbour> rest = std::move(entry->m_next);
                    *place = std::move(rest);
                    --m_count;
                    continue;
                }
                if (count < questions.size()) {
                    if (state == Neighbour::State::Delay)
                        entry->m_state.store(Neighbour::State::Probe, std::memory_order_release);
                    ++entry->m_probes;
                    entry->m_next_probe = now + k_retransmit;
                    questions[count++] = { entry->m_address, entry->mac(), state != Neighbour::State::Incomplete };
                }
                next = std::min(next, entry->m_next_probe);
                place = &entry->m_next;
            }
        }
    }
    for (auto& question : std::span(questions).first(count))
        m_owner.solicit(question.address, question.unicast ? &question.mac : nullptr);
    while (!failed.is_empty())
        m_owner.unresolved(failed.pop_front(), ethertype);
    if (next != Nanoseconds::max())
        m_owner.arm_probe(next);
}

void NeighbourTable::clear()
{
    Locked lock(m_lock);
    for (auto& first : m_buckets) {
        while (first) {
            RefPtr<Neighbour> entry = std::move(first);
            first = std::move(entry->m_next);
            entry->m_state.store(Neighbour::State::Dead, std::memory_order_release);
            entry->m_waiting.clear();
        }
    }
    m_count = 0;
}

usize NeighbourTable::snapshot(std::span<Snapshot> entries)
{
    Locked lock(m_lock);
    usize count = 0;
    for (auto& first : m_buckets) {
        for (Neighbour* entry = first.get(); entry && count < entries.size(); entry = entry->m_next.get())
            entries[count++] = { entry->m_address, entry->mac(), entry->state() };
    }
    return count;
}

} // namespace eremite::net
