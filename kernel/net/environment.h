// What the stack needs besides devices: a clock, and random bytes.
#pragma once

#include "base/result.h"
#include "base/types.h"
#include "sched/wait_queue.h"
#include <array>
#include <span>

namespace eremite::net {

class Stack;

/// The kernel implements it with its clock and generator, tests with virtual time and a seed.
class Environment {
public:
    /// Monotonic.
    virtual Nanoseconds now() = 0;
    /// Since 1970, for timestamps that applications see.
    virtual Nanoseconds wall_clock() { return now(); }
    /// Unpredictable bytes.
    virtual void random(std::span<u8> destination) = 0;
    /// The stack's next_deadline() changed, by whichever thread: read it under a lock of your own, or an older value
    /// may overwrite a newer one. Any lock of the stack may be held: only note it, or arm a timer.
    virtual void deadline_changed() { }
    /// Whether time may have come to the stack's next deadline. A clock need not be looked at where a timer tells.
    virtual bool may_be_due(Nanoseconds deadline) { return deadline <= now(); }
    /// Something is to be done soon by whoever calls Stack::poll(). Any context.
    virtual void work_arrived() { }

    /// Blocks the calling thread until `condition(context)` (asked with no lock held) or `deadline` (ETIMEDOUT);
    /// whoever makes it true wakes `queue`. EINTR. Meanwhile the stack is polled. EAGAIN where nobody can wait.
    virtual Result<> wait(Stack&, WaitQueue&, bool (*)(void*), void*, Nanoseconds) { return Errno::EAGAIN; }

    u64 random64()
    {
        std::array<u8, 8> bytes;
        random(bytes);
        return std::bit_cast<u64>(bytes);
    }

protected:
    ~Environment() = default;
};

} // namespace eremite::net
