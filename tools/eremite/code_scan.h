// What an image's executable bytes hold of instructions that could undo the isolation by protection keys, and whether
// the places where they stand are the kernel's own.
#pragma once

#include "base/key_instructions.h"
#include "elf_file.h"

namespace tool {

/// As arch/x86_64/key_sites.h writes them down.
enum class KeySite { None = 0, Erased = 1, Checked = 2 };

struct KeyFinding {
    std::uint64_t address; // of the opcode
    eremite::KeyInstruction instruction;
    std::size_t length;
    KeySite site; // None: not a place of the kernel's
};

/// An instruction as the disassembler tells it.
struct Instruction {
    std::uint64_t address;
    std::vector<std::uint8_t> bytes;
    std::string mnemonic;
    std::string operands; // without the comment
    std::optional<std::uint64_t> target; // of a direct branch, or of an operand relative to RIP

    std::uint64_t end() const { return address + bytes.size(); }
};

/// A PT_LOAD segment that is executable.
struct CodeSegment {
    std::uint64_t address;
    std::span<const std::uint8_t> bytes;
};
std::vector<CodeSegment> code_of(const Elf& elf);

/// All findings, at every byte offset of the executable segments, in ascending order. Empty for aarch64, which has no
/// such keys.
std::vector<KeyFinding> find_key_instructions(const Elf& elf);

/// Instructions from `start` to `end`, by llvm-objdump.
std::vector<Instruction> disassemble(const Path& image, std::uint64_t start, std::uint64_t end);

/// Whether what follows the instruction at `site` (its first byte) is a comparison and a jump of which one way is UD2.
bool is_followed_by_check(const Path& image, std::uint64_t site);

struct Verification {
    std::vector<KeyFinding> erased; // the kernel's, overwritten before the application starts
    std::vector<KeyFinding> checked; // the kernel's, with the check that must follow
    std::vector<KeyFinding> unchecked; // without it
    std::vector<KeyFinding> stray; // anybody's

    bool has_keys = false; // isolation `mpk`: only then do the kernel's own places need their checks

    bool is_good() const { return stray.empty() && (!has_keys || unchecked.empty()); }
};
Verification verify_code(const Elf& elf);

} // namespace tool
