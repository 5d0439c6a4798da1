// Copies from and to application memory that survive a fault: the instructions stand in an exception table
// (section eremite_fixups: address of the instruction, address to continue at).
#pragma once

#include "base/types.h"

namespace eremite::arch {

/// Copies `length` bytes; one side is application memory, checked by the caller to lie in the application's range.
/// Returns the number of bytes NOT copied (0: all). Demand paging happens on the way, so: not under a spinlock.
usize copy_user(void* destination, const void* source, usize length);
/// Likewise, fills with zero.
usize clear_user(void* destination, usize length);
/// Length of the NUL-terminated string at `source`, at most `limit`; -1 if it faults first.
isize user_string_length(const char* source, usize limit);
/// Atomic compare-and-exchange on a word of the application's (futex, robust lists); false if it faults.
bool compare_exchange_user(u32* target, u32& expected, u32 desired);
/// Atomic load of a word; false if it faults.
bool load_user(const u32* source, u32& value);

/// Where to continue after a fault at `instruction`; 0 if it isn't one of ours.
u64 fixup_for(u64 instruction);

} // namespace eremite::arch
