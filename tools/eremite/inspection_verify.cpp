// Scans executable pages for instructions that would undo the isolation, at every byte offset: a jump may go anywhere.
#include "inspection.h"

#include <elf.h>

namespace tool {

namespace {

/// The instruction that begins at code[0], if it is one of those; bytes as in the processor's manual, prefixes ignored.
const char* privileged_x86(std::span<const std::uint8_t> code)
{
    if (code.size() < 3 || code[0] != 0x0f)
        return nullptr;
    const auto modrm = code[2];
    const unsigned field = modrm >> 3 & 7;
    const bool memory = modrm >> 6 != 3;
    switch (code[1]) {
    case 0x01:
        if (modrm == 0xef)
            return "WRPKRU";
        if (modrm == 0xf8)
            return "SWAPGS";
        if (memory && field == 2)
            return "LGDT";
        if (memory && field == 3)
            return "LIDT";
        if (field == 6)
            return "LMSW";
        return nullptr;
    case 0x00:
        return field == 3 ? "LTR" : nullptr;
    case 0xae:
        if (memory && field == 5)
            return "XRSTOR";
        return nullptr;
    case 0xc7:
        return memory && field == 3 ? "XRSTORS" : nullptr;
    case 0x22:
        return "MOV to CR";
    case 0x23:
        return "MOV to DR";
    case 0x30:
        return "WRMSR";
    default:
        return nullptr;
    }
}

/// WRGSBASE has a mandatory prefix, perhaps with REX between: F3 [REX] 0F AE /3 with a register.
bool is_wrgsbase(std::span<const std::uint8_t> code)
{
    if (code.size() < 5 || code[0] != 0xf3)
        return false;
    const auto rest = (code[1] & 0xf0) == 0x40 ? code.subspan(2) : code.subspan(1);
    return rest[0] == 0x0f && rest[1] == 0xae && rest[2] >> 6 == 3 && (rest[2] >> 3 & 7) == 3;
}

/// Where the kernel itself changes the processor's state.
bool may_hold(const std::string& component)
{
    return component == "kernel/arch" || component == "kernel/isolation";
}

} // namespace

std::vector<Finding> find_privileged_instructions(const Inspection& inspection)
{
    std::vector<Finding> findings;
    if (inspection.elf().arch() != Arch::x86_64)
        return findings;
    for (const auto& section : inspection.elf().sections()) {
        if (!(section.flags & SHF_EXECINSTR) || !(section.flags & SHF_ALLOC))
            continue;
        const auto code = inspection.elf().content(section);
        for (std::size_t i = 0; i < code.size(); ++i) {
            const auto rest = code.subspan(i);
            const char* name = is_wrgsbase(rest) ? "WRGSBASE" : privileged_x86(rest);
            if (!name)
                continue;
            const auto address = section.address + i;
            const auto symbol = inspection.symbol_at(address);
            const auto* piece = inspection.piece_at(address);
            const auto component = piece ? piece->component : std::string("?");
            const auto place = symbol ? fmt::format("{}+{:#x}", inspection.symbols()[*symbol].name,
                                            address - inspection.symbols()[*symbol].address)
                                      : std::string("no symbol");
            findings.push_back({ address, name, fmt::format("{} [{}]", place, component), may_hold(component) });
        }
    }
    return findings;
}

} // namespace tool
