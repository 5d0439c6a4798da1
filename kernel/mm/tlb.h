// Forgetting translations: a batch collects the pages whose entries were changed or cleared and the frames that are
// free once no processor can reach them any more, tells all processors at once, and only then frees.
#pragma once

#include "arch/paging.h"
#include "base/types.h"
#include "mm/frames.h"
#include <array>

namespace eremite {

/// Used under the lock of the tables in question; flushes at the latest when it is destroyed. Interrupts are on if
/// other processors run (arch::call_on_processors).
class TlbBatch {
public:
    TlbBatch() { } // the arrays stay as they are: most batches are short
    ~TlbBatch()
    {
        if (m_page_count != 0 || m_block_count != 0 || m_everything)
            flush();
    }
    TlbBatch(const TlbBatch&) = delete;
    TlbBatch& operator=(const TlbBatch&) = delete;

    /// The entry that mapped `address` lost rights or its frame.
    void invalidate(VirtualAddress address)
    {
        if (m_page_count == m_pages.size()) {
            if constexpr (arch::k_can_invalidate_all) {
                m_everything = true;
                return;
            }
            flush();
        }
        m_pages[m_page_count++] = address.value();
    }
    /// Frees a block of frames after the flush. Its entry has been cleared and invalidated.
    void free_after_flush(PhysicalAddress start, unsigned order)
    {
        if (m_block_count == m_blocks.size())
            flush();
        m_blocks[m_block_count++] = start.value() | order; // the address of a frame leaves room
    }
    void flush();

private:
    friend void invalidate_remotely(TlbBatch&);

    void invalidate_here() const;

    // Beyond so many pages, forgetting all is quicker.
    std::array<u64, 24> m_pages;
    std::array<u64, 64> m_blocks;
    u32 m_page_count { 0 };
    u32 m_block_count { 0 };
    bool m_everything { false };
};

/// From now on other processors are told too. Called once, before the second processor starts; without it, an image for
/// one processor holds no code for more.
void enable_remote_invalidation();

} // namespace eremite
