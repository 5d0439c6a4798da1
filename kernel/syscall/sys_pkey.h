// Protection keys of the application's own (pkeys(7)), where isolation `mpk` is in force; ENOSPC or EINVAL elsewhere.
#pragma once

#include "syscall/dispatch.h"

namespace eremite {

/// A free key, which the calling thread then has the rights `access` to. ENOSPC, EINVAL.
Result<long> sys_pkey_alloc(u32 flags, u32 access);
/// EINVAL: no such key of the application's.
Result<long> sys_pkey_free(int key);
/// mprotect(2), and the pages get `key`; -1 leaves theirs.
Result<long> sys_pkey_mprotect(u64 address, u64 length, u32 protection, int key);
/// Not Linux's: WRPKRU is the kernel's alone, so this is how a thread changes its rights to a key: pkey_set(3).
Result<long> sys_pkey_set(int key, u32 access);
/// Likewise pkey_get(3).
Result<long> sys_pkey_get(int key);

} // namespace eremite
