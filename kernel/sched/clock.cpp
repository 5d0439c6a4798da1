#include "sched/clock.h"

#include <atomic>

namespace eremite {

namespace {

// Wall time at boot, in nanoseconds; 0: not asked for yet.
constinit std::atomic<i64> s_realtime_offset { 0 };

} // namespace

Nanoseconds realtime_now()
{
    i64 offset = s_realtime_offset.load(std::memory_order_relaxed);
    if (offset == 0) {
        // A machine without a clock begins in 1970, one nanosecond late.
        i64 fresh = Nanoseconds::from_seconds(arch::boot_wall_seconds()).value() + 1;
        if (s_realtime_offset.compare_exchange_strong(offset, fresh, std::memory_order_relaxed))
            offset = fresh;
    }
    return Nanoseconds(offset) + arch::now();
}

void set_realtime(Nanoseconds since_1970)
{
    i64 offset = (since_1970 - arch::now()).value();
    s_realtime_offset.store(offset == 0 ? 1 : offset, std::memory_order_relaxed);
}

} // namespace eremite
