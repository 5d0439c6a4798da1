// Frames that a device may go on using after their owner has given up waiting for it: a page cache that frees one of
// them meanwhile only marks it, and the end of the loan frees it.
#pragma once

#include "base/types.h"
#include <array>
#include <atomic>

namespace eremite {

/// Any context. Several loans may have the same frame.
class FrameLoan {
public:
    static constexpr usize k_max_frames = 32;

    constexpr FrameLoan() = default;
    FrameLoan(const FrameLoan&) = delete;
    /// The loan has ended.
    ~FrameLoan();

    /// Before begin(); at most k_max_frames.
    void add(PhysicalAddress frame);
    /// From now on the frames stay what they are until end().
    void begin();
    /// The device is done with them: those that were freed meanwhile go back to the allocator.
    void end();

    /// Instead of freeing `frame`: true if it is lent, and will be freed when it no longer is.
    static bool defer_free(PhysicalAddress frame)
    {
        return s_loans.load(std::memory_order_acquire) != 0 && mark_freed(frame);
    }

private:
    static bool mark_freed(PhysicalAddress frame);

    static constinit std::atomic<u32> s_loans;
    std::array<PhysicalAddress, k_max_frames> m_frames {};
    usize m_count { 0 };
    u32 m_freed { 0 }; // a bit for each
    bool m_is_lent { false };
    FrameLoan* m_next { nullptr };
};

} // namespace eremite
