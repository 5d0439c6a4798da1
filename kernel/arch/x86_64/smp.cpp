// More processors: found in the firmware's tables, started by INIT and SIPI (Intel SDM 3A, 9.4.4.1).
#include "arch/x86_64/smp.h"

#include "arch/clock.h"
#include "arch/interrupt.h"
#include "arch/paging.h"
#include "arch/platform.h"
#include "arch/x86_64/acpi.h"
#include "arch/x86_64/apic.h"
#include "arch/x86_64/cpu_state.h"
#include "arch/x86_64/early.h"
#include "arch/x86_64/io.h"
#include "arch/x86_64/traps.h"
#include "arch/x86_64/vectors.h"
#include "base/owned.h"
#include "mm/frames.h"
#include "mm/kernel_stack.h"
#include "sync/spin_lock.h"

#include <algorithm>
#include <atomic>

extern "C" {
#pragma GCC visibility push(hidden)
/// trampoline.S: copied to a page below 1 MiB.
extern const char __eremite_trampoline_start[], __eremite_trampoline_end[];
/// What the trampoline calls, on the new processor's stack.
[[noreturn]] void __eremite_processor_main();
#pragma GCC visibility pop
}

namespace eremite::arch {

namespace {

constinit std::array<std::atomic<PerCpu*>, k_max_cpus> s_cpus {};

/// Memory below 1 MiB is left alone by everybody else (mm begins there).
constexpr u64 k_trampoline_page = 0x8000;

/// At the end of the trampoline's page; layout known to trampoline.S.
struct TrampolineData {
    u64 temporary_root; // below 4 GiB: maps the trampoline's page one to one, and all that the kernel's does
    u64 stack_top;
    u64 entry;
};

struct Start {
    PerCpu* cpu { nullptr };
    NativeCpu* native { nullptr };
    u64 root { 0 };
    void (*entry)(void*) { nullptr };
    void* argument { nullptr };
    std::atomic<bool> is_up { false };
};
constinit Start s_start;

template<typename T> T* direct(u64 physical)
{
    return reinterpret_cast<T*>(k_direct_map_base + physical);
}

/// A root that also maps the trampoline where it is, and what the kernel maps now; of boot memory, which is low.
u64 temporary_root()
{
    static constinit u64 s_root = 0;
    u8* pages = s_root == 0 ? boot_memory().take_pages(4) : nullptr;
    if (pages)
        s_root = reinterpret_cast<u64>(pages) - boot_memory().window;
    if (s_root == 0)
        return 0;
    std::span<u64> root(direct<u64>(s_root), 512);
    std::ranges::copy(std::span<const u64>(direct<u64>(page_table_root({}).value()), 512), root.begin());
    u64 table = s_root + k_page_size;
    root[0] = PageTableFormat::table_entry(PhysicalAddress(table));
    for (unsigned level = 2; level > 0; --level, table += k_page_size)
        *direct<u64>(table) = PageTableFormat::table_entry(PhysicalAddress(table + k_page_size));
    std::span<u64> leaves(direct<u64>(table), 512);
    leaves[k_trampoline_page / k_page_size]
        = PageTableFormat::leaf_entry(PhysicalAddress(k_trampoline_page), { .writable = false, .executable = true }, 0);
    return s_root;
}

#if EREMITE_ISOLATION != 2
Result<> prepare_entry_stacks(NativeCpu& native)
{
    // Kernel stacks come with a guard page; each is at least as large as any entry stack.
    for (NativeCpu::Bounds& bounds : native.entry_stacks) {
        VirtualRange stack = TRY(allocate_kernel_stack());
        bounds = { stack.start.value(), stack.end().value() };
    }
    return {};
}
#endif

void wait_microseconds(u64 microseconds)
{
    Nanoseconds end = now() + Nanoseconds::from_microseconds(static_cast<i64>(microseconds));
    while (now() < end)
        relax();
}

// call_on_processors
constinit SpinLock s_call_lock;
constinit void (*s_call_function)(void*) = nullptr;
constinit void* s_call_context = nullptr;
constinit std::atomic<u64> s_call_waiting { 0 };

void on_call(void*)
{
    u64 bit = u64 { 1 } << this_cpu().id;
    if ((s_call_waiting.load(std::memory_order_acquire) & bit) == 0)
        return;
    s_call_function(s_call_context);
    s_call_waiting.fetch_and(~bit, std::memory_order_release);
}

} // namespace

PerCpu* cpu_by_number(u32 number)
{
    return number < k_max_cpus ? s_cpus[number].load(std::memory_order_acquire) : nullptr;
}

void set_cpu(u32 number, PerCpu& cpu)
{
    s_cpus[number].store(&cpu, std::memory_order_release);
}

u32 processor_count()
{
    return static_cast<u32>(std::min<usize>(acpi_processors().size(), k_max_cpus));
}

Result<> start_processor(u32 number, u64 stack_top, void (*entry)(void*), void* argument)
{
    std::span<const u32> processors = acpi_processors();
    // Number 0 is the one we run on, wherever the table lists it; the others follow in the table's order.
    u32 own_id = static_cast<u32>(cpu_by_number(0)->hardware_id);
    u32 apic_id = own_id;
    u32 position = 0;
    for (u32 id : processors) {
        if (id == own_id)
            continue;
        if (++position == number)
            apic_id = id;
    }
    if (number == 0 || number >= k_max_cpus || apic_id == own_id)
        return Errno::EINVAL;
    u64 root = temporary_root();
    if (root == 0)
        return Errno::ENOMEM;

    auto cpu = TRY(make<PerCpu>());
    auto native = TRY(make<NativeCpu>());
#if EREMITE_ISOLATION == 2
    s_start.root = TRY(create_processor_tables(*native)).value();
#else
    TRY(prepare_entry_stacks(*native));
    s_start.root = page_table_root({}).value();
#endif
    cpu->id = number;
    cpu->hardware_id = apic_id;
    cpu->preempt_count = 1;
    cpu->kernel_stack_top = stack_top;
    cpu->kernel_stack_bottom = stack_top - k_kernel_stack_size;
    cpu->pending.store(this_cpu().pending.load() & k_pending_trace);
    s_start.cpu = cpu.get();
    s_start.native = native.get();
    s_start.entry = entry;
    s_start.argument = argument;
    s_start.is_up.store(false);

    usize size = static_cast<usize>(
        reinterpret_cast<u64>(__eremite_trampoline_end) - reinterpret_cast<u64>(__eremite_trampoline_start));
    __builtin_memcpy(direct<u8>(k_trampoline_page), __eremite_trampoline_start, size);
    *direct<TrampolineData>(k_trampoline_page + k_page_size - sizeof(TrampolineData))
        = { root, stack_top, reinterpret_cast<u64>(&__eremite_processor_main) };

    set_vector_handler(k_vector_call, on_call, nullptr);
    send_interrupt(apic_id, 0, Delivery::Init);
    wait_microseconds(200);
    // The second SIPI is for one that missed the first.
    for (int attempt = 0; attempt < 2 && !s_start.is_up.load(std::memory_order_acquire); ++attempt) {
        send_interrupt(apic_id, k_trampoline_page / k_page_size, Delivery::Startup);
        for (int i = 0; i < 2000 && !s_start.is_up.load(std::memory_order_acquire); ++i)
            wait_microseconds(100);
    }
    if (!s_start.is_up.load(std::memory_order_acquire)) {
        // It may still come up: what it would use stays.
        cpu.leak();
        native.leak();
        return Errno::EIO;
    }
    cpu.leak();
    native.leak();
    return {};
}

void call_on_processors(u64 cpu_mask, void (*function)(void*), void* context)
{
    Locked lock(s_call_lock);
    cpu_mask &= ~(u64 { 1 } << this_cpu().id);
    s_call_function = function;
    s_call_context = context;
    u64 present = 0;
    for (u32 number = 0; number < k_max_cpus; ++number) {
        if ((cpu_mask >> number & 1) != 0 && cpu_by_number(number))
            present |= u64 { 1 } << number;
    }
    s_call_waiting.store(present, std::memory_order_release);
    for (u32 number = 0; number < k_max_cpus; ++number) {
        if ((present >> number & 1) != 0)
            send_interrupt(static_cast<u32>(cpu_by_number(number)->hardware_id), k_vector_call);
    }
    while (s_call_waiting.load(std::memory_order_acquire) != 0)
        relax();
}

static void processor_main()
{
    write_cr3(s_start.root);
    PerCpu& cpu = *s_start.cpu;
    load_processor_state(cpu, *s_start.native);
    ER_NEEDS(local_apic);
    initialize_local_apic();
    auto* entry = s_start.entry;
    void* argument = s_start.argument;
    set_cpu(cpu.id, cpu);
    s_start.is_up.store(true, std::memory_order_release);
    entry(argument);
}

} // namespace eremite::arch

void __eremite_processor_main()
{
    eremite::arch::processor_main();
    __builtin_unreachable();
}
