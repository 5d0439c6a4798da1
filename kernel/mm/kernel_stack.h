// Kernel stacks: mapped in the kernel half, an unmapped guard page below each.
#pragma once

#include "base/result.h"
#include "base/types.h"

namespace eremite {

inline constexpr usize k_kernel_stack_size = 16 * 1024;

/// A stack of k_kernel_stack_size bytes, wholly backed by frames (a fault on it could not be handled). ENOMEM.
/// Freed ones are kept for reuse, a bounded number of them: creating a thread costs no page table work then.
Result<VirtualRange> allocate_kernel_stack();
/// Not the stack that the caller runs on.
void free_kernel_stack(VirtualRange stack);
/// Whether `address` lies in the guard page of some kernel stack: the fault there is an overflow.
bool is_kernel_stack_guard(VirtualAddress address);

} // namespace eremite
