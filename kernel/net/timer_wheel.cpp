#include "net/timer_wheel.h"

#include <algorithm>
#include <bit>

namespace eremite::net {

// A timer for tick T lies at the level of the highest group of 6 bits in which T differs from the current tick; when
// the current tick reaches the group's value, the slot's timers move to lower levels. Tick T's slot at level 0 fires
// when the current tick becomes T.

bool TimerWheel::arm(WheelTimer& timer, Nanoseconds deadline)
{
    Locked lock(m_lock);
    if (timer.m_hook.is_linked())
        unlink(timer);
    timer.m_deadline = deadline;
    insert(timer, m_current + 1);
    i64 before = m_next.load(std::memory_order_relaxed);
    update_next();
    return m_next.load(std::memory_order_relaxed) < before;
}

void TimerWheel::cancel(WheelTimer& timer)
{
    Locked lock(m_lock);
    if (!timer.m_hook.is_linked())
        return;
    unlink(timer);
    update_next();
}

void TimerWheel::insert(WheelTimer& timer, u64 earliest)
{
    constexpr u64 horizon = (u64 { 1 } << (k_slot_bits * k_levels)) - 1;
    u64 tick = std::max(due_tick(timer), earliest);
    // Too far: it waits at the end of what the wheel can tell apart, and is looked at again then.
    if ((tick ^ m_current) > horizon)
        tick = std::max(m_current | horizon, earliest);
    u64 difference = (tick ^ m_current) & horizon;
    unsigned level = difference == 0 ? 0 : static_cast<unsigned>(std::bit_width(difference) - 1) / k_slot_bits;
    unsigned slot = static_cast<unsigned>(tick >> (level * k_slot_bits)) & (k_slots - 1);
    timer.m_level = static_cast<u8>(level);
    timer.m_slot = static_cast<u8>(slot);
    m_slots[level][slot].push_back(timer);
    m_occupied[level] |= u64 { 1 } << slot;
}

void TimerWheel::unlink(WheelTimer& timer)
{
    Slot& slot = m_slots[timer.m_level][timer.m_slot];
    slot.erase(slot.iterator_to(timer));
    if (slot.empty())
        m_occupied[timer.m_level] &= ~(u64 { 1 } << timer.m_slot);
}

/// The next tick at which a slot fires or moves down; UINT64_MAX if all are empty.
u64 TimerWheel::next_tick() const
{
    for (unsigned level = 0; level < k_levels; ++level) {
        unsigned shift = level * k_slot_bits;
        unsigned position = static_cast<unsigned>(m_current >> shift) & (k_slots - 1);
        u64 later = position == k_slots - 1 ? 0 : m_occupied[level] & (~u64 { 0 } << (position + 1));
        if (later != 0) {
            u64 base = m_current >> (shift + k_slot_bits) << (shift + k_slot_bits);
            return base | static_cast<u64>(std::countr_zero(later)) << shift;
        }
    }
    // What remains lies beyond the top level's end (the clock carried out of it).
    for (unsigned level = 0; level < k_levels; ++level) {
        if (m_occupied[level] != 0) {
            constexpr unsigned top = k_levels * k_slot_bits;
            return ((m_current >> top) + 1) << top;
        }
    }
    return UINT64_MAX;
}

void TimerWheel::update_next()
{
    u64 tick = next_tick();
    m_next.store(tick > (u64 { INT64_MAX } >> k_tick_shift) ? INT64_MAX : static_cast<i64>(tick << k_tick_shift),
        std::memory_order_relaxed);
}

void TimerWheel::cascade(unsigned level)
{
    unsigned slot = static_cast<unsigned>(m_current >> (level * k_slot_bits)) & (k_slots - 1);
    Slot moving;
    moving.swap(m_slots[level][slot]);
    m_occupied[level] &= ~(u64 { 1 } << slot);
    while (!moving.empty()) {
        WheelTimer& timer = moving.front();
        moving.pop_front();
        insert(timer, m_current);
    }
}

void TimerWheel::run(Nanoseconds now)
{
    u64 target = tick_of(now);
    while (true) {
        WheelTimer* due = nullptr;
        {
            Locked lock(m_lock);
            Slot& slot = m_slots[0][m_current & (k_slots - 1)];
            while (!slot.empty() && !due) {
                WheelTimer& timer = slot.front();
                unlink(timer);
                if (due_tick(timer) > m_current)
                    insert(timer, m_current + 1);
                else if (timer.retain())
                    due = &timer;
            }
            if (!due) {
                u64 next = next_tick();
                if (next > target) {
                    m_current = std::max(m_current, target);
                    update_next();
                    return;
                }
                // Timers of a tick are at level 0 once its group begins: move down from the top.
                u64 before = m_current;
                m_current = next;
                for (unsigned level = k_levels - 1; level > 0; --level) {
                    if ((before ^ next) >> (level * k_slot_bits) != 0)
                        cascade(level);
                }
            }
        }
        if (due)
            due->expire(now);
    }
}

} // namespace eremite::net
