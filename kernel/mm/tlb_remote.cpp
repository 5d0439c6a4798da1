// TlbBatch with more than one processor.
#include "arch/cpu.h"
#include "arch/interrupt.h"
#include "mm/tlb.h"
#include "sched/scheduler.h"

namespace eremite {

namespace detail {
extern void (*g_invalidate_remotely)(TlbBatch&);
}

namespace {

struct Request {
    TlbBatch* batch { nullptr };
    void (*invalidate)(TlbBatch&) { nullptr };
    std::atomic<u64> done { 0 }; // processors that have done it, a bit each
};

} // namespace

/// Tells all processors, this one included, and asserts that each has done it: after this, no frame of the batch can be
/// reached through a translation that was there before.
void invalidate_remotely(TlbBatch& batch)
{
    arch::disable_preemption();
    batch.invalidate_here();
    u64 others = online_cpus() & ~(u64 { 1 } << arch::this_cpu().id);
    if (others != 0) {
        Request request { .batch = &batch, .invalidate = [](TlbBatch& b) { b.invalidate_here(); } };
        arch::call_on_processors(
            others,
            [](void* context) {
                auto& asked = *static_cast<Request*>(context);
                asked.invalidate(*asked.batch);
                asked.done.fetch_or(u64 { 1 } << arch::this_cpu().id, std::memory_order_release);
            },
            &request);
        ASSERT(request.done.load(std::memory_order_acquire) == others);
    }
    arch::enable_preemption();
}

void enable_remote_invalidation()
{
    detail::g_invalidate_remotely = invalidate_remotely;
}

} // namespace eremite
