// Inside sched/: what else happens when a thread of the application ends. Set by the call that creates threads, so that a
// program without threads doesn't hold it.
#pragma once

#include "sched/thread.h"

namespace eremite {

extern std::atomic<void (*)(Thread&)> g_application_thread_exit;

} // namespace eremite
