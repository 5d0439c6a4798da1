// Inside sched/: what else happens when a thread of the application ends. Set by the call that creates threads, so that
// a program without threads doesn't hold it.
#pragma once

#include "sched/thread.h"

namespace eremite {

extern std::atomic<void (*)(Thread&)> g_application_thread_exit;
/// What set_robust_list adds to that: address of the list's head, number of the thread.
extern std::atomic<void (*)(u64, i32)> g_robust_list_exit;

} // namespace eremite
