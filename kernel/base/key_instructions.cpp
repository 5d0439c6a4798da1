// Numbers: Intel SDM 2, appendix A (opcode maps), and the instructions' own pages.
#include "base/key_instructions.h"

#include <algorithm>
#include <array>

namespace eremite {

namespace {

constexpr u8 k_two_byte_opcode = 0x0f;
constexpr u8 k_three_byte_vex = 0xc4;

struct Match {
    KeyInstruction instruction;
    usize length;
};

/// `third` is the byte after the opcode, mostly a ModRM byte.
std::optional<Match> match_by_third(u8 opcode, u8 third)
{
    using enum KeyInstruction;
    bool memory = third >> 6 != 3;
    unsigned extension = third >> 3 & 7;
    switch (opcode) {
    case 0x00:
        if (extension == 2)
            return Match { LoadLocalTable, 3 };
        if (extension == 3)
            return Match { LoadTask, 3 };
        break;
    case 0x01:
        if (third == 0xef)
            return Match { WriteRights, 3 };
        if (third == 0xf8)
            return Match { SwapGs, 3 };
        if (third == 0xd1)
            return Match { WriteStateMask, 3 };
        if (third == 0xc6) // without prefix WRMSRNS, with F3 WRMSRLIST
            return Match { WriteModelRegister, 3 };
        if (memory && extension == 2)
            return Match { LoadGlobalTable, 3 };
        if (memory && extension == 3)
            return Match { LoadInterruptTable, 3 };
        if (extension == 6)
            return Match { WriteMachineStatus, 3 };
        break;
    case 0xae:
        if (memory && extension == 5)
            return Match { RestoreState, 3 };
        if (!memory && extension == 3)
            return Match { WriteGsBase, 3 };
        break;
    case 0xc7:
        if (memory && extension == 3)
            return Match { RestoreSupervisorState, 3 };
        break;
    default:
        break;
    }
    return std::nullopt;
}

/// WRMSRNS with the register's number as an immediate: VEX, map 7, F6 /0 with a register.
bool is_immediate_wrmsr(std::span<const u8> code)
{
    return code.size() >= 5 && (code[1] & 0x1f) == 7 && code[3] == 0xf6 && (code[4] & 0xf8) == 0xc0;
}

std::optional<Match> match(std::span<const u8> code)
{
    using enum KeyInstruction;
    if (code[0] == k_three_byte_vex && is_immediate_wrmsr(code))
        return Match { WriteModelRegister, 5 };
    if (code[0] != k_two_byte_opcode || code.size() < 2)
        return std::nullopt;
    switch (code[1]) {
    case 0x22:
        return Match { WriteControlRegister, 2 };
    case 0x23:
        return Match { WriteDebugRegister, 2 };
    case 0x30:
        return Match { WriteModelRegister, 2 };
    default:
        return code.size() < 3 ? std::nullopt : match_by_third(code[1], code[2]);
    }
}

} // namespace

std::string_view name_of(KeyInstruction instruction)
{
    constexpr std::array<std::string_view, 14> names { "WRPKRU", "XRSTOR", "XRSTORS", "WRMSR", "XSETBV", "MOV to CR",
        "MOV to DR", "LMSW", "LGDT", "LIDT", "LLDT", "LTR", "WRGSBASE", "SWAPGS" };
    return names[static_cast<usize>(instruction)];
}

std::optional<KeyInstructionFinding> find_key_instruction(std::span<const u8> code, usize from)
{
    for (usize offset = from; offset < code.size(); ++offset) {
        if (code[offset] != k_two_byte_opcode && code[offset] != k_three_byte_vex)
            continue;
        if (auto found = match(code.subspan(offset)))
            return KeyInstructionFinding { offset, found->instruction, found->length };
    }
    return std::nullopt;
}

} // namespace eremite
