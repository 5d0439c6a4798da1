// Kernel timers: a callback at a point of monotonic time, on the processor that armed it, in interrupt context.
#pragma once

#include "base/types.h"
#include <atomic>

namespace eremite {

/// Owned by whoever arms it; must be cancelled before it dies. arm() again moves it.
class Timer {
public:
    using Callback = void (*)(Timer&);

    constexpr explicit Timer(Callback callback, void* context = nullptr)
        : m_callback(callback)
        , m_context(context)
    {
    }
    ~Timer() { cancel(); }
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;

    /// Calls back once at `deadline` or a little later. The callback may arm it again.
    void arm(Nanoseconds deadline);
    /// After this returns, the callback doesn't run and won't. Not from the callback itself.
    void cancel();
    bool is_armed() const { return m_is_armed.load(std::memory_order_relaxed); }
    Nanoseconds deadline() const { return m_deadline; }
    void* context() const { return m_context; }

private:
    friend class TimerQueue;
    Callback m_callback;
    void* m_context;
    Nanoseconds m_deadline {};
    std::atomic<bool> m_is_armed { false };
    static constexpr u32 k_never_armed = ~u32 { 0 };
    std::atomic<u32> m_cpu { k_never_armed }; // whose queue it is in, or was in last
    // Its place in the queue's pairing heap.
    Timer* m_child { nullptr };
    Timer* m_sibling { nullptr };
    Timer* m_previous { nullptr }; // the left sibling, or the parent of a first child
};

} // namespace eremite
