// The process, of which there is one: how it ends.
#pragma once

#include "base/types.h"
#include <atomic>

namespace eremite {

/// Ends the virtual machine with `status` (0 to 255): runs the exit hooks, then powers off. Any thread; may sleep.
[[noreturn]] void exit_process(int status);
/// Ends it as if by a fatal signal, which has been reported: status 128 + signal, no hook that could sleep.
[[noreturn]] void kill_process(int signal);

/// Called before power off, newest first: what must reach the host before (file systems, consoles). May sleep.
struct ExitHook {
    void (*function)();
    ExitHook* next { nullptr };
};
void add_exit_hook(ExitHook& hook);

inline constexpr i32 k_process_id = 1;

/// Set when the process gets its second thread, before that runs, and never cleared: until then, what only the
/// application's threads touch needs no lock (descriptors).
inline constinit std::atomic<bool> g_multithreaded { false };

} // namespace eremite
