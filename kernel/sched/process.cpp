#include "sched/process.h"

#include "arch/platform.h"
#include <atomic>

namespace eremite {

namespace {

constinit std::atomic<ExitHook*> s_hooks { nullptr };
constinit std::atomic<bool> s_is_ending { false };

} // namespace

void add_exit_hook(ExitHook& hook)
{
    ExitHook* first = s_hooks.load(std::memory_order_relaxed);
    do
        hook.next = first;
    while (!s_hooks.compare_exchange_weak(first, &hook, std::memory_order_release, std::memory_order_relaxed));
}

void exit_process(int status)
{
    // The first to come decides; a hook that fails in its turn doesn't run the others again.
    if (!s_is_ending.exchange(true)) {
        for (ExitHook* hook = s_hooks.load(std::memory_order_acquire); hook; hook = hook->next)
            hook->function();
    }
    arch::power_off(status & 0xff);
}

void kill_process(int signal)
{
    s_is_ending.store(true);
    arch::power_off(128 + signal);
}

} // namespace eremite
