// Pages that become executable while the application runs, with isolation by protection keys: none may hold an
// instruction that opens keys (base/key_instructions.h), at any byte offset, across the borders of pages too.
#include "mm/address_space.h"

#include "arch/user_copy.h"
#include "base/key_instructions.h"
#include "base/log.h"

#include <algorithm>

namespace eremite {

namespace {

using Format = PageTable::Format;

constexpr usize k_overlap = k_key_instruction_reach - 1;

/// Looks at code piece by piece, in ascending order of addresses. What lies between two pieces that don't touch counts
/// as harmless.
class CodeScan {
public:
    /// False if an instruction is there that may not be.
    bool look_at(VirtualAddress address, std::span<const u8> code)
    {
        if (address != m_end)
            m_kept = 0;
        // The end of what was before, and as much of this: then this by itself.
        std::array<u8, 2 * k_overlap> border;
        usize more = std::min(code.size(), k_overlap);
        std::copy_n(m_last.begin(), m_kept, border.begin());
        std::ranges::copy(code.first(more), std::span(border).subspan(m_kept).begin());
        if (!is_harmless(address - m_kept, std::span(border).first(m_kept + more)) || !is_harmless(address, code))
            return false;
        m_kept = std::min(code.size(), k_overlap);
        std::ranges::copy(code.last(m_kept), m_last.begin());
        m_end = address + code.size();
        return true;
    }

private:
    static bool is_harmless(VirtualAddress address, std::span<const u8> code)
    {
        auto found = find_key_instruction(code);
        if (found)
            log_warning("isolation: memory with {} at {} was not made executable (EACCES): that instruction is the "
                        "kernel's alone, even by chance or inside another one",
                name_of(found->instruction), address + found->offset);
        return !found;
    }

    VirtualAddress m_end;
    usize m_kept { 0 };
    std::array<u8, k_overlap> m_last {};
};

/// The kernel's view of a page's bytes isn't the application's: a parked page isn't there for either, and the
/// application's own keys are nobody's business. The image's frames are not in the direct map, though.
bool look_at_page(CodeScan& scan, const Mapping& mapping, VirtualAddress address, u64 entry, unsigned level)
{
    if (mapping.owns_frames()) {
        auto* memory = static_cast<const u8*>(direct_map(Format::address(entry | 1, level)));
        return scan.look_at(address, { memory, PageTable::span_of(level) });
    }
    std::array<u8, 256> piece;
    for (u64 offset = 0; offset < k_page_size; offset += piece.size()) {
        VirtualAddress from = address + offset;
        if (arch::copy_user(piece.data(), reinterpret_cast<const void*>(from.value()), piece.size()) != 0
            || !scan.look_at(from, piece))
            return false;
    }
    return true;
}

} // namespace

/// All of `range`, and the executable pages that touch it.
bool AddressSpace::is_harmless_code(VirtualRange range)
{
    CodeScan scan;
    bool good = true;
    VirtualRange around { range.start - std::min<u64>(range.start.value(), k_page_size), 0 };
    around.length = range.end() - around.start + k_page_size;
    m_table.for_each(around, [&](VirtualAddress address, u64& entry, unsigned level) NO_THREAD_SAFETY_ANALYSIS {
        const Mapping* mapping = at(address);
        if (!good || !mapping)
            return;
        bool is_new = address >= range.start && address < range.end();
        if (is_new || mapping->is_executable())
            good = look_at_page(scan, *mapping, address, entry, level);
    });
    return good;
}

/// Of what isn't executable in `range`: takes the right to write away, whatever the mappings say, or gives back the
/// rights that they have.
void AddressSpace::set_writability(VirtualRange range, bool as_mapped, TlbBatch& batch)
{
    for (Mapping* mapping = at_or_after(range.start); mapping && mapping->range.start < range.end();
        mapping = next(*mapping)) {
        if (mapping->is_executable())
            continue;
        u8 protection = mapping->protection;
        if (!as_mapped)
            mapping->protection = abi::k_prot_read;
        protect_pages(*mapping, false, batch);
        mapping->protection = protection;
    }
    batch.flush();
}

/// Before `range` becomes executable: takes the right to write away from everybody, then looks. EACCES: it may not be
/// executable; it is as it was. ENOMEM.
Result<> AddressSpace::prepare_code(VirtualRange range, TlbBatch& batch)
{
    for (Mapping* mapping = at_or_after(range.start); mapping && mapping->range.start < range.end();
        mapping = next(*mapping)) {
        // What is in a file's pages can change later, by write() or by another mapping.
        if (mapping->object && !mapping->is_executable()) {
            log_warning("isolation: a mapping of a file was not made executable (EACCES): read it into memory instead");
            return Errno::EACCES;
        }
    }
    TRY(split_ends(range, batch));
    set_writability(range, false, batch);
    if (is_harmless_code(range))
        return {};
    set_writability(range, true, batch);
    return Errno::EACCES;
}

} // namespace eremite
