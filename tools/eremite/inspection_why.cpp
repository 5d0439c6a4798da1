// Why something is in an image: the shortest way of references from a root to it.
#include "inspection.h"

#include <algorithm>
#include <deque>
#include <elf.h>

namespace tool {

namespace {

bool is_relative(Arch arch, std::uint32_t type)
{
    if (arch != Arch::x86_64)
        return false;
    return type == R_X86_64_PC32 || type == R_X86_64_PLT32 || type == R_X86_64_GOTPCREL || type == R_X86_64_GOTPCRELX
        || type == R_X86_64_REX_GOTPCRELX;
}

} // namespace

Strings Inspection::chain_to(const std::string& wanted) const
{
    // References between symbols: from the one that a relocation lies in to the one it names.
    std::vector<std::vector<std::uint32_t>> references(m_symbols.size());
    const auto raw_symbols = m_elf.symbols();
    bool any = false;
    for (const auto& section : m_elf.sections()) {
        if (section.type != SHT_RELA || section.info == 0 || section.info >= m_elf.sections().size())
            continue;
        const auto& patched = m_elf.sections()[section.info];
        if (!(patched.flags & SHF_ALLOC) || patched.name.starts_with(".eh_frame") || section.flags & SHF_ALLOC)
            continue;
        any = true;
        for (const auto& relocation : m_elf.relocations(section)) {
            if (relocation.symbol >= raw_symbols.size())
                continue;
            const auto& target = raw_symbols[relocation.symbol];
            if (target.section == SHN_UNDEF || target.section >= SHN_LORESERVE)
                continue;
            auto address = target.value;
            if (target.type == STT_SECTION)
                address += static_cast<std::uint64_t>(relocation.addend)
                    + (is_relative(m_elf.arch(), relocation.type) ? 4 : 0);
            const auto from = symbol_at(relocation.offset);
            const auto to = symbol_at(address);
            if (from && to && *from != *to)
                references[*from].push_back(static_cast<std::uint32_t>(*to));
        }
    }
    if (!any)
        fail("{} was linked without its relocations, so no reference can be followed: build it by ./eremite, or link "
             "with "
             "-Wl,--emit-relocs",
            m_elf.path().string());

    const auto is_wanted = [&](const ImageSymbol& symbol) {
        if (symbol.raw_name == wanted || symbol.name == wanted
            || symbol.name.substr(0, symbol.name.find('(')) == wanted)
            return true;
        return symbol.component == wanted || symbol.component == "kernel/" + wanted;
    };
    // main first: what it reaches is the program's doing. Then the entry, whose reach is there in every image.
    for (const auto* root_name : { "main", "__eremite_entry", "_start" }) {
        std::vector<std::uint32_t> before(m_symbols.size(), UINT32_MAX);
        std::deque<std::uint32_t> queue;
        for (std::uint32_t i = 0; i < m_symbols.size(); ++i) {
            if (m_symbols[i].raw_name == root_name) {
                queue.push_back(i);
                before[i] = i;
            }
        }
        while (!queue.empty()) {
            const auto current = queue.front();
            queue.pop_front();
            if (is_wanted(m_symbols[current])) {
                Strings chain;
                for (auto at = current;; at = before[at]) {
                    chain.insert(chain.begin(), fmt::format("{}  [{}]", m_symbols[at].name, m_symbols[at].component));
                    if (before[at] == at)
                        return chain;
                }
            }
            for (const auto next : references[current]) {
                if (before[next] == UINT32_MAX) {
                    before[next] = current;
                    queue.push_back(next);
                }
            }
        }
    }
    if (std::ranges::any_of(m_symbols, is_wanted))
        return { fmt::format("{}  [kept by the link script, or reached by its section alone]", wanted) };
    return {};
}

} // namespace tool
