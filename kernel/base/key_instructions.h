// Finds the x86 instructions with which code in ring 0 could undo the isolation by protection keys. One scanner for the
// build (tools/eremite, over an image's text) and for the kernel (over pages that become executable at run time).
//
// A jump may go anywhere, so every byte offset counts. An instruction is told by its opcode's bytes; prefixes before
// them don't matter, which also catches encodings that no processor takes today. Bytes are looked at as 64-bit code.
//
// Not found, as they are too short to keep out at every offset, or harmless: IN and OUT (docs/security.md says what
// that means), segment loads (they can set GS base to 0 alone, where nothing is ever mapped), IRET and far returns
// (there is no other privilege level to go to), VMX and SVM (CR4 and EFER keep them off).
#pragma once

#include "base/types.h"
#include <optional>
#include <span>
#include <string_view>

namespace eremite {

enum class KeyInstruction : u8 {
    WriteRights, // WRPKRU
    RestoreState, // XRSTOR: restores PKRU among others
    RestoreSupervisorState, // XRSTORS
    WriteModelRegister, // WRMSR, WRMSRNS, WRMSRLIST: EFER.NXE, GS base, ...
    WriteStateMask, // XSETBV
    WriteControlRegister, // MOV to CR: CR0.WP, CR3, CR4.PKE
    WriteDebugRegister, // MOV to DR
    WriteMachineStatus, // LMSW: CR0
    LoadGlobalTable, // LGDT
    LoadInterruptTable, // LIDT
    LoadLocalTable, // LLDT: gives segment loads another GS base
    LoadTask, // LTR
    WriteGsBase, // WRGSBASE
    SwapGs,
};

/// The instruction's usual name.
std::string_view name_of(KeyInstruction instruction);

struct KeyInstructionFinding {
    usize offset; // of the opcode's first byte
    KeyInstruction instruction;
    usize length; // of what tells it: 2, 3 or 5 bytes
};

/// What tells an instruction has this many bytes at most: so many less one before and behind a page may belong to one
/// that straddles its border.
inline constexpr usize k_key_instruction_reach = 5;

/// The first one whose opcode begins at `from` or later and lies wholly in `code`.
std::optional<KeyInstructionFinding> find_key_instruction(std::span<const u8> code, usize from = 0);

} // namespace eremite
