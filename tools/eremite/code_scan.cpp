#include "code_scan.h"

#include "process.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <elf.h>
#include <map>

namespace tool {

namespace {

/// Of each recorded place, its first byte and its kind. Of records that name a place outside the kernel's text some are
/// of code that is not in the image; and an application may not allow itself anything.
std::map<std::uint64_t, KeySite> key_sites(const Elf& elf)
{
    std::map<std::uint64_t, KeySite> sites;
    const auto* section = elf.section(".eremite.key_sites");
    const auto* text = elf.section(".text.kernel");
    if (!section || !text)
        return sites;
    const auto content = elf.content(*section);
    for (std::size_t at = 0; at + 16 <= content.size(); at += 16) {
        std::uint64_t record[2];
        std::memcpy(record, &content[at], sizeof record);
        const bool is_kernel = record[0] - text->address < text->size;
        if (is_kernel && (record[1] == 1 || record[1] == 2))
            sites.emplace(record[0], static_cast<KeySite>(record[1]));
    }
    return sites;
}

bool is_prefix(std::uint8_t byte)
{
    return (byte & 0xf0) == 0x40 || byte == 0xf3 || byte == 0xf2 || byte == 0x66;
}

/// The recorded place whose instruction has its opcode at `address`: only prefixes may lie between.
std::optional<std::uint64_t> site_before(
    const std::map<std::uint64_t, KeySite>& sites, const CodeSegment& code, std::uint64_t address)
{
    for (std::uint64_t start = address;; --start) {
        if (sites.contains(start))
            return start;
        if (start == code.address || address - start >= 4 || !is_prefix(code.bytes[start - 1 - code.address]))
            return std::nullopt;
    }
}

std::optional<std::uint64_t> hexadecimal(std::string_view text)
{
    if (text.starts_with("0x"))
        text.remove_prefix(2);
    std::uint64_t value = 0;
    const auto result = std::from_chars(text.data(), text.data() + text.size(), value, 16);
    if (result.ec != std::errc {} || result.ptr == text.data())
        return std::nullopt;
    return value;
}

/// "    7ed0: 89 45 d8      \tmovl\t%eax, -0x28(%rbp)   # 0x... <...>"
std::optional<Instruction> parse_line(std::string_view line)
{
    const auto colon = line.find(": ");
    const auto tab = line.find('\t');
    if (colon == std::string_view::npos || tab == std::string_view::npos || tab < colon)
        return std::nullopt;
    const auto address = hexadecimal(trim(line.substr(0, colon)));
    if (!address)
        return std::nullopt;
    Instruction instruction { .address = *address, .bytes = {}, .mnemonic = {}, .operands = {}, .target = {} };
    for (const auto& word : split_words(line.substr(colon + 2, tab - colon - 2))) {
        const auto byte = hexadecimal(word);
        if (!byte || word.size() != 2)
            return std::nullopt;
        instruction.bytes.push_back(static_cast<std::uint8_t>(*byte));
    }
    auto text = line.substr(tab + 1);
    if (const auto hash = text.find('#'); hash != std::string_view::npos) {
        if (text.substr(0, hash).contains("(%rip)"))
            instruction.target = hexadecimal(split_words(text.substr(hash + 1)).front());
        text = text.substr(0, hash);
    }
    const auto words = split_words(text);
    if (words.empty())
        return std::nullopt;
    instruction.mnemonic = words.front();
    instruction.operands = trim(text.substr(text.find(words.front()) + words.front().size()));
    const bool is_branch = instruction.mnemonic.starts_with('j') || instruction.mnemonic.starts_with("call");
    if (is_branch && instruction.operands.starts_with("0x"))
        instruction.target = hexadecimal(split_words(instruction.operands).front());
    return instruction;
}

} // namespace

std::vector<CodeSegment> code_of(const Elf& elf)
{
    std::vector<CodeSegment> code;
    for (const auto& segment : elf.segments()) {
        if (segment.type == PT_LOAD && (segment.flags & PF_X))
            code.push_back({ segment.virtual_address, elf.bytes().subspan(segment.offset, segment.file_size) });
    }
    return code;
}

std::vector<KeyFinding> find_key_instructions(const Elf& elf)
{
    std::vector<KeyFinding> findings;
    if (elf.arch() != Arch::x86_64)
        return findings;
    const auto sites = key_sites(elf);
    for (const auto& segment : code_of(elf)) {
        std::size_t from = 0;
        while (const auto found = eremite::find_key_instruction(segment.bytes, from)) {
            const auto address = segment.address + found->offset;
            const auto site = site_before(sites, segment, address);
            findings.push_back({ address, found->instruction, found->length, site ? sites.at(*site) : KeySite::None });
            from = found->offset + 1;
        }
    }
    std::ranges::sort(findings, {}, &KeyFinding::address);
    return findings;
}

std::vector<Instruction> disassemble(const Path& image, std::uint64_t start, std::uint64_t end)
{
    std::vector<Instruction> instructions;
    const auto text = output_of({ "llvm-objdump-19", "-d", fmt::format("--start-address={:#x}", start),
        fmt::format("--stop-address={:#x}", end), image.string() });
    for (const auto& line : split(text, '\n')) {
        if (auto instruction = parse_line(line))
            instructions.push_back(std::move(*instruction));
    }
    return instructions;
}

bool is_followed_by_check(const Path& image, std::uint64_t site)
{
    // Nothing but reading, comparing and the jump may come before the check has had its say.
    const auto code = disassemble(image, site, site + 48);
    for (std::size_t i = 1; i + 1 < code.size(); ++i) {
        const auto& each = code[i];
        const auto is = [&](std::string_view name) { return each.mnemonic.starts_with(name); };
        if (is("test") || is("cmp") || is("and") || is("or") || is("xor") || is("rdpkru"))
            continue;
        if ((!is("je") && !is("jne")) || !each.target)
            return false;
        if (code[i + 1].mnemonic == "ud2")
            return true;
        const auto away = disassemble(image, *each.target, *each.target + 2);
        return !away.empty() && away.front().mnemonic == "ud2";
    }
    return false;
}

Verification verify_code(const Elf& elf)
{
    Verification result;
    result.has_keys = elf.section("eremite_erased") != nullptr; // key_sites.h: at that level alone
    for (const auto& finding : find_key_instructions(elf)) {
        if (finding.site == KeySite::None)
            result.stray.push_back(finding);
        else if (finding.site == KeySite::Erased)
            result.erased.push_back(finding);
        else if (is_followed_by_check(elf.path(), finding.address))
            result.checked.push_back(finding);
        else
            result.unchecked.push_back(finding);
    }
    return result;
}

} // namespace tool
