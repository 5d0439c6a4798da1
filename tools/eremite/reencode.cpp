#include "reencode.h"

#include <algorithm>
#include <array>
#include <map>

namespace tool {

namespace {

constexpr std::uint8_t k_operand_size = 0x66;

/// Where the parts of a legacy-encoded instruction with a ModRM byte stand.
struct Layout {
    std::optional<std::size_t> rex {};
    bool is_escaped = false; // 0F before the opcode
    std::size_t opcode = 0;
    std::size_t modrm = 0;

    std::uint8_t mode(const Code& code) const { return code[modrm] >> 6; }
    bool has_sib(const Code& code) const { return mode(code) != 3 && (code[modrm] & 7) == 4; }
};

bool is_legacy_prefix(std::uint8_t byte)
{
    constexpr auto all = std::to_array<std::uint8_t>({ 0x66, 0xf2, 0xf3, 0x2e, 0x36, 0x3e, 0x26, 0x64, 0x65 });
    return std::ranges::find(all, byte) != all.end();
}

/// Of the one-byte opcodes those with ModRM, of the two-byte ones those that compilers use with memory operands.
bool has_modrm(std::uint8_t opcode, bool escaped)
{
    if (escaped)
        return opcode >= 0x10
            && (opcode < 0x30 || (opcode >= 0x40 && opcode < 0x77) || (opcode >= 0x90 && opcode < 0xa0)
                || (opcode >= 0xa3 && opcode < 0xa6) || (opcode >= 0xab && opcode < 0xc8) || opcode >= 0xd0);
    if (opcode < 0x40)
        return (opcode & 7) < 4;
    return opcode == 0x63 || opcode == 0x69 || opcode == 0x6b || (opcode >= 0x80 && opcode < 0x90) || opcode == 0xc0
        || opcode == 0xc1 || opcode == 0xc6 || opcode == 0xc7 || (opcode >= 0xd0 && opcode < 0xd4) || opcode == 0xf6
        || opcode == 0xf7 || opcode == 0xfe || opcode == 0xff;
}

std::optional<Layout> layout_of(const Code& code)
{
    Layout layout;
    std::size_t at = 0;
    while (at < code.size() && is_legacy_prefix(code[at]))
        ++at;
    if (at < code.size() && (code[at] & 0xf0) == 0x40)
        layout.rex = at++;
    if (at < code.size() && code[at] == 0x0f) {
        layout.is_escaped = true;
        ++at;
    }
    if (at + 1 >= code.size() || !has_modrm(code[at], layout.is_escaped))
        return std::nullopt;
    layout.opcode = at;
    layout.modrm = at + 1;
    if (layout.has_sib(code) && layout.modrm + 1 >= code.size())
        return std::nullopt;
    return layout;
}

/// The registers of a text like "$34, 1(%rdi,%r9)", as the processor numbers them.
struct NamedOperand {
    unsigned base;
    unsigned index;
};

std::optional<unsigned> number_of(std::string_view name)
{
    constexpr auto names = std::to_array<std::string_view>({ "%rax", "%rcx", "%rdx", "%rbx", "%rsp", "%rbp", "%rsi",
        "%rdi", "%r8", "%r9", "%r10", "%r11", "%r12", "%r13", "%r14", "%r15" });
    const auto found = std::ranges::find(names, name);
    if (found == names.end())
        return std::nullopt;
    return static_cast<unsigned>(found - names.begin());
}

/// Base and index of a memory operand without a scale.
std::optional<NamedOperand> named_operand(std::string_view operands)
{
    const auto open = operands.find('(');
    const auto close = operands.find(')', open);
    if (open == std::string_view::npos || close == std::string_view::npos)
        return std::nullopt;
    const auto parts = split(operands.substr(open + 1, close - open - 1), ',');
    if (parts.size() != 2)
        return std::nullopt;
    const auto base = number_of(trim(parts[0]));
    const auto index = number_of(trim(parts[1]));
    if (!base || !index)
        return std::nullopt;
    return NamedOperand { *base, *index };
}

void append_word(Code& code, std::uint32_t word)
{
    for (int i = 0; i < 4; ++i)
        code.push_back(static_cast<std::uint8_t>(word >> (8 * i)));
}

/// A register that the instruction's text does not name, and that needs no REX.
std::optional<std::uint8_t> free_register(std::string_view operands)
{
    struct Candidate {
        std::uint8_t number;
        std::array<std::string_view, 3> names;
    };
    constexpr auto candidates = std::to_array<Candidate>(
        { { 0, { "ax", "%al", "%ah" } }, { 1, { "cx", "%cl", "%ch" } }, { 2, { "dx", "%dl", "%dh" } } });
    for (const auto& each : candidates) {
        if (std::ranges::none_of(each.names, [&](std::string_view name) { return operands.contains(name); }))
            return each.number;
    }
    return std::nullopt;
}

} // namespace

std::optional<Code> with_operands_exchanged(const Instruction& instruction)
{
    auto code = instruction.bytes;
    const auto layout = layout_of(code);
    const auto named = named_operand(instruction.operands);
    if (!layout || !named || !layout->has_sib(code))
        return std::nullopt;
    const std::uint8_t rex = layout->rex ? code[*layout->rex] : 0;
    auto& sib = code[layout->modrm + 1];
    // The bytes must say what the disassembler said.
    const unsigned base = (sib & 7) | (rex & 1 ? 8 : 0);
    const unsigned index = ((sib >> 3) & 7) | (rex & 2 ? 8 : 0);
    if ((sib >> 6) != 0 || base != named->base || index != named->index)
        return std::nullopt;
    constexpr unsigned stack_pointer = 4;
    // No index is called that; and as a base without displacement, 5 and 13 mean something else.
    if (base == stack_pointer || ((index & 7) == 5 && layout->mode(code) == 0))
        return std::nullopt;
    sib = static_cast<std::uint8_t>(((base & 7) << 3) | (index & 7));
    if (layout->rex)
        code[*layout->rex] = static_cast<std::uint8_t>((rex & 0xfc) | (index >> 3) | ((base >> 3) << 1));
    return code;
}

std::optional<Code> with_wider_displacement(const Instruction& instruction)
{
    auto code = instruction.bytes;
    const auto layout = layout_of(code);
    if (!layout || instruction.target || !instruction.operands.contains('('))
        return std::nullopt;
    const auto mode = layout->mode(code);
    const bool sib = layout->has_sib(code);
    const auto low = (sib ? code[layout->modrm + 1] : code[layout->modrm]) & 7;
    const auto behind = static_cast<std::ptrdiff_t>(layout->modrm + (sib ? 2 : 1));
    if (mode == 0 && low != 5) {
        code[layout->modrm] = static_cast<std::uint8_t>(code[layout->modrm] | 0x40);
        code.insert(code.begin() + behind, 0);
        return code;
    }
    if (mode == 1 && static_cast<std::size_t>(behind) < code.size()) {
        code[layout->modrm] = static_cast<std::uint8_t>((code[layout->modrm] & 0x3f) | 0x80);
        const std::uint8_t sign = code[static_cast<std::size_t>(behind)] & 0x80 ? 0xff : 0;
        code.insert(code.begin() + behind + 1, 3, sign);
        return code;
    }
    return std::nullopt;
}

std::optional<Code> with_constant_in_register(const Instruction& instruction)
{
    auto code = instruction.bytes;
    const auto scratch = free_register(instruction.operands);
    if (!scratch || instruction.target || instruction.operands.contains("sp") || code.size() < 6
        || code.front() == k_operand_size)
        return std::nullopt;
    const std::size_t rex = (code[0] & 0xf0) == 0x40 ? 1 : 0;
    const auto opcode = code[rex];
    std::uint32_t constant = 0;
    for (std::size_t i = 0; i < 4; ++i)
        constant |= std::uint32_t { code[code.size() - 4 + i] } << (8 * i);
    code.resize(code.size() - 4);

    // What does the same with a register in place of the constant.
    constexpr std::uint8_t test = 0x85;
    constexpr std::uint8_t move = 0x89;
    if (opcode == 0x81 || opcode == 0xc7 || opcode == 0xf7) {
        const auto extension = (code[rex + 1] >> 3) & 7;
        if (opcode != 0x81 && extension != 0)
            return std::nullopt;
        code[rex] = opcode == 0x81 ? static_cast<std::uint8_t>((extension << 3) | 1) : opcode == 0xc7 ? move : test;
        code[rex + 1] = static_cast<std::uint8_t>((code[rex + 1] & 0xc7) | (*scratch << 3));
    } else {
        return std::nullopt;
    }

    Code result { 0x48, 0x8d, 0x64, 0x24, 0x80 }; // lea -128(%rsp), %rsp
    result.push_back(static_cast<std::uint8_t>(0x50 | *scratch)); // push
    result.insert(result.end(), { 0x48, 0xc7, static_cast<std::uint8_t>(0xc0 | *scratch) }); // mov, sign-extended
    append_word(result, ~constant);
    result.insert(result.end(), { 0x48, 0xf7, static_cast<std::uint8_t>(0xd0 | *scratch) }); // not
    result.insert(result.end(), code.begin(), code.end());
    result.push_back(static_cast<std::uint8_t>(0x58 | *scratch)); // pop
    result.insert(result.end(), { 0x48, 0x8d, 0xa4, 0x24, 0x80, 0, 0, 0 }); // lea 128(%rsp), %rsp
    return result;
}

std::optional<Code> jump_of_call(const Instruction& instruction)
{
    auto code = instruction.bytes;
    const auto layout = layout_of(code);
    constexpr std::uint8_t call = 2;
    constexpr std::uint8_t jump = 4;
    if (!instruction.mnemonic.starts_with("call") || !layout || layout->is_escaped || code[layout->opcode] != 0xff
        || layout->mode(code) == 3 || ((code[layout->modrm] >> 3) & 7) != call || instruction.operands.contains("sp"))
        return std::nullopt;
    code[layout->modrm] = static_cast<std::uint8_t>((code[layout->modrm] & 0xc7) | (jump << 3));
    return code;
}

} // namespace tool
