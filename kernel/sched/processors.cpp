// Starts the processors beside the first. A component, because a program without threads has no use for them: clone()
// needs it.
#include "arch/clock.h"
#include "arch/interrupt.h"
#include "arch/platform.h"
#include "base/component.h"
#include "base/log.h"
#include "mm/tlb.h"
#include "sched/run_queue.h"
#include <algorithm>
#include <array>

namespace eremite {

namespace {

/// Runs on the new processor, on the stack of a thread that ends at once: there the processor waits for its first work.
void begin_processor(void* argument)
{
    Scheduler::bring_online(arch::this_cpu(), *static_cast<Thread*>(argument));
    arch::this_cpu().preempt_count = 0;
    exit_current_thread();
}

Result<> start_one(u32 cpu)
{
    constexpr Nanoseconds patience = Nanoseconds::from_seconds(1);
    std::array<char, Thread::k_name_length> name;
    TRY(Scheduler::prepare_processor(cpu));
    auto thread = TRY(Thread::create(format(name, "cpu {}", cpu), begin_processor, nullptr));
    thread->ref(); // given up when the processor leaves it
    Result<> result = arch::start_processor(cpu, thread->stack_top(), begin_processor, thread.get());
    if (result.is_error()) {
        thread->unref();
        return result;
    }
    Nanoseconds deadline = arch::now() + patience;
    while ((online_cpus() >> cpu & 1) == 0) {
        if (arch::now() > deadline)
            return Errno::EIO; // its stack stays its own
        arch::relax();
    }
    return {};
}

Result<> start_processors()
{
    u32 count = std::min(arch::processor_count(), arch::k_max_cpus);
    if (count > 1) {
        Scheduler::s_send_reschedule.store(arch::send_reschedule, std::memory_order_relaxed);
        enable_remote_invalidation();
    }
    for (u32 cpu = 1; cpu < count; ++cpu) {
        if (Result<> result = start_one(cpu); result.is_error())
            log_warning("sched: processor {} does not start: {}", cpu, result.error());
    }
    return {};
}

} // namespace

ER_COMPONENT(processors, Stage::Late, start_processors);

} // namespace eremite
