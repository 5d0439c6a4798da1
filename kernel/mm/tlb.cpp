#include "mm/tlb.h"

#include "arch/paging.h"

#include <span>

namespace eremite {

namespace detail {
/// Set by enable_remote_invalidation() (tlb_remote.cpp).
constinit void (*g_invalidate_remotely)(TlbBatch&) { nullptr };
} // namespace detail

void TlbBatch::invalidate_here() const
{
    if constexpr (arch::k_can_invalidate_all) {
        if (m_everything)
            return arch::invalidate_all();
    }
    for (u64 page : std::span(m_pages).first(m_page_count))
        arch::invalidate_page(VirtualAddress(page));
}

void TlbBatch::flush()
{
    if (m_everything || m_page_count != 0) {
        if (detail::g_invalidate_remotely)
            detail::g_invalidate_remotely(*this);
        else
            invalidate_here();
    }
    for (u64 block : std::span(m_blocks).first(m_block_count))
        free_frames(PhysicalAddress(block).page_floor(), static_cast<unsigned>(block & (k_page_size - 1)));
    m_page_count = 0;
    m_block_count = 0;
    m_everything = false;
}

} // namespace eremite
