#include "syscall/time_page.h"

#include "base/component.h"
#include "boot/boot_info.h"
#include "boot/image.h"
#include "mm/address_space.h"
#include "mm/kernel_space.h"
#include "sched/clock.h"
#include "sync/spin_lock.h"

// In the application's bss, where it may be read at every level of isolation (libc/eremite.ld.in).
asm(".pushsection .application_bss, \"aw\", %nobits\n\t.balign 4096\n\t.globl __eremite_time_page\n\t"
    ".hidden __eremite_time_page\n\t.type __eremite_time_page, %object\n\t.size __eremite_time_page, 4096\n"
    "__eremite_time_page:\n\t.zero 4096\n\t.popsection");
extern "C" [[gnu::visibility("hidden")]] const eremite::TimePage __eremite_time_page;

namespace eremite {

namespace {

/// The kernel's own view of the page.
constinit TimePage* s_page { nullptr };
constinit InterruptSpinLock s_lock;

void write_clock(TimePage::Clock& clock, u64 seconds, u64 fraction)
{
    clock.seconds.store(seconds, std::memory_order_relaxed);
    clock.fraction.store(fraction, std::memory_order_relaxed);
}

void write_page()
{
    constexpr auto relaxed = std::memory_order_relaxed;
    Locked lock(s_lock);
    const arch::ClockConversion conversion = arch::clock_conversion();
    const auto offset = static_cast<u64>(realtime_offset().value());
    TimePage& page = *s_page;
    page.realtime.valid_for.store(0, relaxed);
    page.monotonic.valid_for.store(0, relaxed);
    std::atomic_thread_fence(std::memory_order_release);
    page.sequence.fetch_add(1, relaxed);
    std::atomic_thread_fence(std::memory_order_release);
    page.base_cycles.store(conversion.base_cycles, relaxed);
    page.multiplier.store(conversion.multiplier, relaxed);
    write_clock(page.monotonic, conversion.base_seconds, conversion.base_fraction);
    page.monotonic.valid_for.store(conversion.valid_for, std::memory_order_release);
    // The first time of day is the system call's business: it asks the machine's clock.
    if (offset == 0)
        return;
    // Rounded up: never behind what the kernel itself says.
    constexpr u64 nanosecond = ~u64 { 0 } / Nanoseconds::k_per_second + 1;
    u64 fraction;
    const bool carry
        = __builtin_add_overflow(conversion.base_fraction, offset % Nanoseconds::k_per_second * nanosecond, &fraction);
    write_clock(
        page.realtime, conversion.base_seconds + offset / Nanoseconds::k_per_second + (carry ? 1 : 0), fraction);
    page.realtime.valid_for.store(conversion.valid_for, std::memory_order_release);
}

Result<> publish_time_page()
{
    const VirtualAddress address(reinterpret_cast<u64>(&__eremite_time_page));
    const PhysicalAddress physical = boot_info().image.start + (address - image_base());
    auto view = TRY(kernel_space().map({ physical, k_page_size }, arch::k_kernel_data_attributes));
    TRY(address_space().protect({ address, k_page_size }, abi::k_prot_read));
    s_page = reinterpret_cast<TimePage*>(view.start.value());
    write_page();
    arch::set_clock_listener(write_page);
    set_realtime_listener(write_page);
    return {};
}

} // namespace

} // namespace eremite

ER_COMPONENT(time_page, eremite::Stage::Subsystem, eremite::publish_time_page);
