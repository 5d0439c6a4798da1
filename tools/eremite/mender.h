// Takes the bytes of key-changing instructions out of code that holds them by chance: in the distance of a branch, in a
// constant, or across two instructions. (A megabyte of code holds some five.) No program has to be compiled
// differently.
//
// The link script leaves room in the application's text and in the kernel's (__eremite_mend_start, __eremite_mend_end,
// __eremite_kernel_mend_*). An operand of two registers changes its bytes when they change places (reencode.h). A
// branch whose distance is at fault, or a call by memory, gets there by way of a second one, from that room; any other
// instruction moves there, with its neighbours where it is shorter than the jump that takes its place, and with a NOP
// between two that make up the bytes only together, or in another encoding where it is its constant. An instruction
// that a jump, a table, a label or an exception might lead to behind the first one that is moved, or a direct call (its
// return address would change), stays where it is.
#pragma once

#include "inspection.h"

namespace tool {

struct MendResult {
    std::size_t mended = 0;
    /// What could not be: one line each, with what to do.
    Strings left;
};

/// Changes the file in place, all or nothing of each finding; a second time there is nothing left to change.
MendResult mend_image(const Path& image);

/// Mends, then verifies, and fails where anything is left. Remembers by a file beside the image that it was done.
void verify_image(const Path& image);

/// "name+0x12 [component, object]", for people.
std::string place_of(const Inspection& inspection, std::uint64_t address);

} // namespace tool
