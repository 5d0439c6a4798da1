// The page from which a program's clock_gettime tells the time without a system call (application_clock.cpp). It is in
// the image, and its component too, only with that function. The application sees it read-only.
#pragma once

#include "base/types.h"
#include <atomic>

namespace eremite {

/// What the page holds. A reader takes `sequence`, the counter, `valid_for` and the rest, in this order, and `sequence`
/// again: if that has changed, or valid_for is not above the cycles since base_cycles (as when the page is just being
/// written), it makes the system call instead. Nobody ever waits.
struct TimePage {
    struct Clock {
        std::atomic<u64> valid_for; // cycles since base_cycles
        std::atomic<u64> seconds; // at base_cycles
        std::atomic<u64> fraction; // 2^-64 s
    };
    std::atomic<u32> sequence;
    std::atomic<u64> base_cycles;
    std::atomic<u64> multiplier; // 2^-64 s per cycle
    Clock realtime;
    Clock monotonic;
};
} // namespace eremite
