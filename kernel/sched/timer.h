// Kernel timers: a callback at a point of monotonic time, on the processor that armed it, in interrupt context.
#pragma once

#include "base/intrusive.h"
#include "base/types.h"

namespace eremite {

/// Owned by whoever arms it; must be cancelled before it dies. arm() again moves it.
class Timer {
public:
    using Callback = void (*)(Timer&);

    explicit Timer(Callback callback, void* context = nullptr)
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
    bool is_armed() const { return m_hook.is_linked(); }
    Nanoseconds deadline() const { return m_deadline; }
    void* context() const { return m_context; }

private:
    friend class TimerQueue;
    Callback m_callback;
    void* m_context;
    Nanoseconds m_deadline {};
    TreeHook m_hook;
    u32 m_cpu { 0 };
};

} // namespace eremite
