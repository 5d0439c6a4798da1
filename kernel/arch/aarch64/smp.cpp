#include "arch/aarch64/smp.h"

#include "arch/aarch64/early.h"
#include "arch/aarch64/gic.h"
#include "arch/aarch64/psci.h"
#include "arch/clock.h"
#include "arch/cpu.h"
#include "arch/interrupt.h"
#include "arch/paging.h"
#include "arch/platform.h"
#include "base/owned.h"
#include "mm/kernel_stack.h"
#include "sync/spin_lock.h"

#include <array>
#include <atomic>

namespace eremite::arch {

namespace {

/// What a starting processor needs; the first six are read by __eremite_secondary_entry, stack_top and lower_root with
/// the MMU on.
struct StartBlock {
    u64 identity_root { 0 };
    u64 upper_root { 0 };
    u64 image_offset { 0 };
    u64 stack_top { 0 };
    u64 lower_root { 0 };
    u64 control { 0 };
    u64 entry_stack_top { 0 };
    PerCpu* cpu { nullptr };
    void (*entry)(void*) { nullptr };
    void* argument { nullptr };
    std::atomic<bool> is_up { false };
};
constinit StartBlock s_block;

constinit std::array<u64, k_max_cpus> s_identities {};
constinit u32 s_count = 0;

struct Call {
    void (*function)(void*) { nullptr };
    void* context { nullptr };
    std::atomic<u32> remaining { 0 };
};
constinit SpinLock s_call_lock;
constinit Call s_call;

void read_processors()
{
    u64 boot = this_cpu().hardware_id;
    s_identities[0] = boot;
    u32 count = 1;
    DeviceTree::Node cpus = device_tree().known(DeviceTree::Known::Processors);
    u32 cells = cpus ? cpus.property("#address-cells").cell(0) : 0;
    for (DeviceTree::Node node = cpus ? cpus.next() : cpus; node && node.depth() > cpus.depth(); node = node.next()) {
        if (node.depth() != cpus.depth() + 1 || node.property("device_type").text() != "cpu" || !node.is_enabled())
            continue;
        u64 identity = node.property("reg").number(0, cells == 2 ? 2 : 1);
        if (identity != boot && count < k_max_cpus)
            s_identities[count++] = identity;
    }
    s_count = count;
}

void on_call(void*)
{
    s_call.function(s_call.context);
    s_call.remaining.fetch_sub(1, std::memory_order_release);
}

void clean_to_memory(const void* data, usize length)
{
    for (usize offset = 0; offset < length + 64; offset += 64)
        asm volatile("dc cvac, %0" : : "r"(reinterpret_cast<u64>(data) + offset) : "memory");
    asm volatile("dsb sy" ::: "memory");
}

} // namespace

u64 processor_identity(u32 cpu)
{
    return cpu < k_max_cpus ? s_identities[cpu] : 0;
}

u32 processor_count()
{
    if (s_count == 0)
        read_processors();
    return s_count;
}

void initialize_processor_calls()
{
    set_private_handler(k_sgi_reschedule, [](void*) { });
    set_private_handler(k_sgi_call, on_call);
}

void call_on_processors(u64 cpu_mask, void (*function)(void*), void* context)
{
    Locked lock(s_call_lock);
    s_call.function = function;
    s_call.context = context;
    s_call.remaining.store(static_cast<u32>(__builtin_popcountll(cpu_mask)), std::memory_order_release);
    for (u32 cpu = 0; cpu < s_count; ++cpu) {
        if ((cpu_mask >> cpu & 1) != 0)
            send_private_interrupt(cpu, k_sgi_call);
    }
    while (s_call.remaining.load(std::memory_order_acquire) != 0)
        relax();
}

Result<> start_processor(u32 cpu, u64 stack_top, void (*entry)(void*), void* argument)
{
    if (cpu == 0 || cpu >= processor_count())
        return Errno::EINVAL;
    VirtualRange entry_stack = TRY(allocate_kernel_stack());
    auto block = TRY(make<PerCpu>());
    block->id = cpu;
    block->preempt_count = 1;
    block->stack_guard = this_cpu().stack_guard;
    block->kernel_stack_top = stack_top;
    block->kernel_stack_bottom = stack_top - k_kernel_stack_size;
    s_block.identity_root = platform().identity_root;
    // As this processor has them.
    asm("mrs %0, ttbr1_el1" : "=r"(s_block.upper_root));
    asm("mrs %0, ttbr0_el1" : "=r"(s_block.lower_root));
    asm("mrs %0, tcr_el1" : "=r"(s_block.control));
    s_block.image_offset = platform().image_offset;
    s_block.stack_top = stack_top;
    s_block.entry_stack_top = entry_stack.end().value();
    s_block.cpu = block.leak();
    s_block.entry = entry;
    s_block.argument = argument;
    s_block.is_up.store(false, std::memory_order_release);
    clean_to_memory(&s_block, sizeof(s_block));

    auto physical = [](const void* address) { return reinterpret_cast<u64>(address) - platform().image_offset; };
    i64 result = psci_start_processor(
        s_identities[cpu], physical(reinterpret_cast<const void*>(__eremite_secondary_entry)), physical(&s_block));
    if (result == 0) {
        Nanoseconds deadline = now() + Nanoseconds::from_seconds(2);
        while (!s_block.is_up.load(std::memory_order_acquire) && now() < deadline)
            relax();
        if (s_block.is_up.load(std::memory_order_acquire))
            return {};
        // It may yet come up, and use what it was given: that stays.
        return Errno::EIO;
    }
    free_kernel_stack(entry_stack);
    kfree(s_block.cpu, sizeof(PerCpu));
    return Errno::EIO;
}

} // namespace eremite::arch

using namespace eremite;

extern "C" [[noreturn]] void __eremite_secondary_main(arch::StartBlock* block);

[[gnu::no_stack_protector]] void __eremite_secondary_main(arch::StartBlock* block)
{
    arch::harden_processor();
    arch::adopt_processor(*block->cpu, block->entry_stack_top);
    arch::initialize_interrupt_processor();
    arch::initialize_timer_interrupt();
    void (*entry)(void*) = block->entry;
    void* argument = block->argument;
    block->is_up.store(true, std::memory_order_release);
    entry(argument);
    ASSERT_NOT_REACHED();
}
