// Assertions and the end of the road. An ASSERT states what the code itself guarantees; bad input is never asserted on.
#pragma once

#include "base/types.h"

namespace eremite {

/// Ends the kernel: registers, symbolised backtrace, exit status 255. Never returns, takes no lock that could be held.
/// Defined per architecture's port in boot/panic.cpp; on arch `host` it prints and aborts.
[[noreturn]] void panic(const char* message, const char* file = nullptr, int line = 0);

} // namespace eremite

#define ASSERT(condition)                                                                                              \
    do {                                                                                                               \
        if (!(condition)) [[unlikely]]                                                                                 \
            ::eremite::panic("assertion failed: " #condition, __FILE_NAME__, __LINE__);                                \
    } while (false)

#define ASSERT_NOT_REACHED() ::eremite::panic("reached what must not be reached", __FILE_NAME__, __LINE__)
