// The same instruction in other bytes, for the mender: x86-64 has several encodings of many operands.
#pragma once

#include "code_scan.h"

namespace tool {

using Code = std::vector<std::uint8_t>;

/// With base and index of its memory operand exchanged, in the same size; nothing where there is no such operand, or
/// the two can't change places.
std::optional<Code> with_operands_exchanged(const Instruction& instruction);

/// With a displacement of 0 written out, or one of a byte written in four: up to four bytes longer.
std::optional<Code> with_wider_displacement(const Instruction& instruction);

/// An arithmetic or moving instruction with 32 bits of constant, as several: the constant comes by its complement
/// through another register, which is saved below the red zone. Flags are as after the one instruction.
std::optional<Code> with_constant_in_register(const Instruction& instruction);

/// The jump to where an indirect call by memory goes; only where the operand does not depend on the stack pointer.
std::optional<Code> jump_of_call(const Instruction& instruction);

} // namespace tool
