// Isolation levels, and the protection keys of level `mpk`. Which level a kernel is built for is known when it is
// compiled: at the others, nothing of what serves keys is in it.
#pragma once

#include "base/types.h"

namespace eremite {

inline constexpr int k_isolation_none = 0;
inline constexpr int k_isolation_stack = 1;
inline constexpr int k_isolation_mpk = 2;
#if defined(EREMITE_ISOLATION)
inline constexpr int k_isolation = EREMITE_ISOLATION;
#else
inline constexpr int k_isolation = k_isolation_none;
#endif
inline constexpr bool k_has_keys = k_isolation == k_isolation_mpk;

/// Whose memory has which key. The rest, 3 to 15, are the application's to allocate (pkey_alloc).
inline constexpr u8 k_application_key = 0; // also what nobody needs to be kept from
inline constexpr u8 k_trusted_key = k_has_keys ? 1 : 0;
inline constexpr u8 k_untrusted_key = k_has_keys ? 2 : 0;
inline constexpr u8 k_first_free_key = 3;
inline constexpr u8 k_key_count = 16;

} // namespace eremite
