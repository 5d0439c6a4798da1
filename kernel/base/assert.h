// Assertions and the end of the road. An ASSERT states what the code itself guarantees; bad input is never asserted on.
#pragma once

#include "base/types.h"

namespace eremite {

/// Ends the kernel: registers, symbolised backtrace, exit status 255. Never returns, takes no lock that could be held.
/// Defined per architecture's port in boot/panic.cpp; on arch `host` it prints and aborts.
[[noreturn]] void panic(const char* message, const char* file = nullptr, int line = 0);

} // namespace eremite

// In an image, a failed assertion is one call without arguments: the backtrace's first frame, symbolised, says which
// file and line it was. Texts and numbers at every assertion would be a tenth of a small image.
#if defined(EREMITE_HOST)
#define ER_ASSERTION_FAILED(text) ::eremite::panic(text, __FILE_NAME__, __LINE__)
#else
extern "C" [[noreturn, gnu::cold, clang::nomerge]] void __eremite_assertion_failed();
#define ER_ASSERTION_FAILED(text) ::__eremite_assertion_failed()
#endif

#define ASSERT(condition)                                                                                              \
    do {                                                                                                               \
        if (!(condition)) [[unlikely]]                                                                                 \
            ER_ASSERTION_FAILED("assertion failed: " #condition);                                                      \
    } while (false)

#define ASSERT_NOT_REACHED() ER_ASSERTION_FAILED("reached what must not be reached")
