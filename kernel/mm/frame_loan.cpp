#include "mm/frame_loan.h"

#include "mm/frames.h"
#include "sync/spin_lock.h"

namespace eremite {

namespace {

constinit InterruptSpinLock s_lock;
constinit FrameLoan* s_first = nullptr; // under s_lock, as are the loans in the list

} // namespace

constinit std::atomic<u32> FrameLoan::s_loans { 0 };

FrameLoan::~FrameLoan()
{
    ASSERT(!m_is_lent);
}

void FrameLoan::add(PhysicalAddress frame)
{
    m_frames[m_count++] = frame;
}

void FrameLoan::begin()
{
    Locked lock(s_lock);
    ASSERT(!m_is_lent);
    m_is_lent = true;
    m_next = s_first;
    s_first = this;
    s_loans.fetch_add(1, std::memory_order_release);
}

bool FrameLoan::mark_freed(PhysicalAddress frame)
{
    Locked lock(s_lock);
    for (FrameLoan* loan = s_first; loan; loan = loan->m_next) {
        for (usize i = 0; i < loan->m_count; ++i) {
            if (loan->m_frames[i] == frame) {
                loan->m_freed |= u32 { 1 } << i;
                return true;
            }
        }
    }
    return false;
}

void FrameLoan::end()
{
    {
        Locked lock(s_lock);
        if (!m_is_lent)
            return;
        m_is_lent = false;
        FrameLoan** link = &s_first;
        while (*link != this)
            link = &(*link)->m_next;
        *link = m_next;
        s_loans.fetch_sub(1, std::memory_order_release);
    }
    for (usize i = 0; i < m_count; ++i) {
        // Another loan may have it still: then that one frees it.
        if ((m_freed & u32 { 1 } << i) != 0 && !defer_free(m_frames[i]))
            free_frames(m_frames[i], 0);
    }
}

} // namespace eremite
