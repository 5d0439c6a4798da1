#include "sync/lock_order.h"

#if EREMITE_LOCK_ORDER

#include "arch/cpu.h"
#include "base/assert.h"
#include "base/format.h"
#include "base/log.h"

#include <span>
#include <string_view>

namespace eremite {

bool LockClass::operator==(const LockClass& other) const
{
    // The same text has several addresses where the linker doesn't merge them.
    return line == other.line && (file == other.file || std::string_view(file) == other.file);
}

namespace {

/// `before` is held while `after` is taken.
struct Edge {
    LockClass before;
    LockClass after;
};

// The checker's own lock can be none of those that it checks. It is held with interrupts off, and all the rest is under
// it.
constinit std::atomic<bool> s_busy { false };
constinit std::array<Edge, 1024> s_edges {};
constinit usize s_edge_count = 0;
constinit std::array<LockClass, 256> s_reached {}; // leads_to()'s; too large for a kernel stack

void panic_about(LockClass before, LockClass after)
{
    log_error("lock order: {}:{} is taken while {}:{} is held, but was taken before it elsewhere", before.file,
        before.line, after.file, after.line);
    ASSERT(false);
}
constinit std::atomic<LockOrderReport> s_report { panic_about };

std::span<const Edge> edges()
{
    return std::span(s_edges).first(s_edge_count);
}

bool is_known(LockClass before, LockClass after)
{
    for (const Edge& edge : edges()) {
        if (edge.before == before && edge.after == after)
            return true;
    }
    return false;
}

/// Whether `from` comes before `to`, by however many steps.
bool leads_to(LockClass from, LockClass to)
{
    usize count = 0;
    auto reach = [&](LockClass lock_class) {
        for (const LockClass& each : std::span(s_reached).first(count)) {
            if (each == lock_class)
                return;
        }
        if (count < s_reached.size())
            s_reached[count++] = lock_class;
    };
    reach(from);
    for (usize i = 0; i < count; ++i) {
        if (s_reached[i] == to)
            return true;
        for (const Edge& edge : edges()) {
            if (edge.before == s_reached[i])
                reach(edge.after);
        }
    }
    return false;
}

/// False if `after` comes before `before` already. Notes the pair otherwise.
bool note(LockClass before, LockClass after)
{
    while (s_busy.exchange(true, std::memory_order_acquire))
        arch::relax();
    bool good = true;
    if (!is_known(before, after)) {
        good = !leads_to(after, before);
        if (s_edge_count < s_edges.size())
            s_edges[s_edge_count++] = { before, after }; // a wrong one too: it is reported once
    }
    s_busy.store(false, std::memory_order_release);
    return good;
}

} // namespace

#if !defined(EREMITE_HOST)
HeldLocks& held_locks()
{
    static constinit std::array<HeldLocks, arch::k_max_cpus> s_held {};
    return s_held[arch::this_cpu().id];
}
#endif

LockOrderReport set_lock_order_report(LockOrderReport report)
{
    return s_report.exchange(report);
}

void LockOrder::note_acquire() const
{
    const bool enabled = arch::disable_interrupts();
    const HeldLocks& held = held_locks();
    for (const HeldLocks::Entry& entry : std::span(held.entries).first(held.count)) {
        if (entry.lock_class == m_class)
            continue;
        if (!note(entry.lock_class, m_class))
            s_report.load()(m_class, entry.lock_class);
    }
    if (enabled)
        arch::enable_interrupts();
    note_acquired();
}

void LockOrder::note_acquired() const
{
    const bool enabled = arch::disable_interrupts();
    HeldLocks& held = held_locks();
    if (held.count < held.entries.size())
        held.entries[held.count++] = { this, m_class };
    if (enabled)
        arch::enable_interrupts();
}

void LockOrder::note_release() const
{
    const bool enabled = arch::disable_interrupts();
    HeldLocks& held = held_locks();
    // Mostly the last; those above it move down.
    for (usize i = held.count; i-- > 0;) {
        if (held.entries[i].lock != this)
            continue;
        for (usize k = i + 1; k < held.count; ++k)
            held.entries[k - 1] = held.entries[k];
        --held.count;
        break;
    }
    if (enabled)
        arch::enable_interrupts();
}

} // namespace eremite

#endif
