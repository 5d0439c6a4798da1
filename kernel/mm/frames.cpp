#include "mm/frames.h"

#include "base/log.h"
#include "mm/frame_allocator.h"
#include "mm/kernel_space.h"
#include "mm/kmalloc.h"
#include "random/random.h"

#include <algorithm>

namespace eremite {

namespace {

constinit FrameAllocator s_allocator;
constinit std::atomic<usize (*)(usize)> s_reclaimer { nullptr };

constexpr u64 k_lowest = 1_MiB;
constexpr u64 k_highest = u64 { 1 } << 46; // what the direct map has room for
/// Less than this isn't worth its bookkeeping.
constexpr u64 k_smallest_range = 4 * k_page_size;
constexpr u64 k_smallest_memory = 256_KiB;

struct Piece {
    u64 start { 0 };
    u64 end { 0 };
};

/// The usable memory as a short list of pieces that don't overlap, in ascending order. The map comes from outside: it
/// may be unsorted, may overlap, and may list as usable what it reserves elsewhere.
class Pieces {
public:
    void add(u64 start, u64 end)
    {
        remove(start, end); // no byte twice
        insert({ start, end });
    }

    [[clang::minsize]] void remove(u64 start, u64 end)
    {
        if (start >= end)
            return;
        for (usize i = 0; i < m_count;) {
            Piece piece = m_pieces[i];
            if (piece.end <= start || piece.start >= end) {
                ++i;
                continue;
            }
            --m_count;
            for (usize j = i; j < m_count; ++j)
                m_pieces[j] = m_pieces[j + 1];
            // What is left on either side doesn't overlap, so meeting it again does no harm.
            insert({ piece.start, std::min(piece.end, start) });
            insert({ std::max(piece.start, end), piece.end });
        }
    }

    std::span<const Piece> list() const { return std::span(m_pieces).first(m_count); }

private:
    [[clang::minsize]] void insert(Piece piece)
    {
        if (piece.start >= piece.end)
            return;
        if (m_count == m_pieces.size()) {
            log_warning(
                "mm: the memory map is in too many pieces: {} KiB are left unused", (piece.end - piece.start) / 1_KiB);
            return;
        }
        usize i = m_count++;
        for (; i > 0 && m_pieces[i - 1].start > piece.start; --i)
            m_pieces[i] = m_pieces[i - 1];
        m_pieces[i] = piece;
    }

    std::array<Piece, 64> m_pieces {};
    usize m_count { 0 };
};

/// End of a range that may wrap around.
u64 end_of(PhysicalRange range)
{
    u64 end;
    return __builtin_add_overflow(range.start.value(), range.length, &end) ? ~u64 { 0 } : end;
}

void remove_pages(Pieces& pieces, PhysicalRange range)
{
    if (range.length != 0)
        pieces.remove(range.start.page_floor().value(), align_up(std::min(end_of(range), k_highest), k_page_size));
}

} // namespace

Result<PhysicalAddress> allocate_frames(unsigned order)
{
    return s_allocator.allocate(order);
}

Result<PhysicalAddress> allocate_frames_reclaiming(unsigned order)
{
    while (true) {
        auto frames = s_allocator.allocate(order);
        if (frames.has_value())
            return frames;
        auto reclaim = s_reclaimer.load(std::memory_order_acquire);
        if (!reclaim || reclaim(usize { 64 } << order) == 0)
            return frames.error();
    }
}

void set_frame_reclaimer(usize (*reclaim)(usize wanted))
{
    s_reclaimer.store(reclaim, std::memory_order_release);
}

Result<PhysicalAddress> allocate_zeroed_frame()
{
    auto frame = TRY(allocate_frames_reclaiming(0));
    arch::clear_page(direct_map(frame));
    return frame;
}

void free_frames(PhysicalAddress start, unsigned order)
{
    s_allocator.free(start, order);
}

void split_frames(PhysicalAddress start, unsigned order)
{
    s_allocator.split(start, order);
}

bool is_allocated_frame(PhysicalAddress address)
{
    return s_allocator.is_allocated(address);
}

FrameStatistics frame_statistics()
{
    return s_allocator.statistics();
}

[[clang::minsize]] void initialize_memory(const BootInfo& info)
{
    Pieces pieces;
    for (const MemoryRange& range : info.memory()) {
        if (range.kind != MemoryKind::Usable)
            continue;
        u64 start = std::max(align_up(range.range.start.value(), k_page_size), k_lowest);
        u64 end = align_down(std::min(end_of(range.range), k_highest), k_page_size);
        if (start < end)
            pieces.add(start, end);
    }
    for (const MemoryRange& range : info.memory()) {
        if (range.kind != MemoryKind::Usable)
            remove_pages(pieces, range.range);
    }
    remove_pages(pieces, info.image);
    remove_pages(pieces, info.initrd);
    remove_pages(pieces, info.device_tree);

    for (Piece piece : pieces.list()) {
        if (piece.end - piece.start < k_smallest_range)
            continue;
        if (s_allocator.add_range({ PhysicalAddress(piece.start), piece.end - piece.start }).is_error())
            log_warning("mm: too many ranges of memory: {} KiB are left unused", (piece.end - piece.start) / 1_KiB);
    }
    usize total = s_allocator.statistics().total * k_page_size;
    if (info.memory().empty())
        panic("no memory: the boot protocol brought no memory map");
    if (total < k_smallest_memory)
        panic("too little memory: give the machine more");
    log_info("mm: {} KiB of memory", total / 1_KiB);

    initialize_kernel_heap(random_u64());
    kernel_space().initialize(arch::page_table_root(VirtualAddress(arch::address_layout().kernel_area)), random_u64());
}

[[clang::minsize]] void release_boot_memory(PhysicalRange range)
{
    u64 start = align_up(range.start.value(), k_page_size);
    u64 end = align_down(end_of(range), k_page_size);
    if (end <= start || end - start < k_smallest_range)
        return;
    // Not being able to use it is no harm done.
    (void)s_allocator.add_range({ PhysicalAddress(start), end - start }).is_error();
}

} // namespace eremite
