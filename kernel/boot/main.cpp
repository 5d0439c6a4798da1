// The one file that composes everything: what runs, in order, between early boot and the application's first
// instruction.
#include "boot/main.h"

#include "arch/clock.h"
#include "arch/cpu.h"
#include "arch/interrupt.h"
#include "arch/paging.h"
#include "arch/platform.h"
#include "base/assert.h"
#include "base/component.h"
#include "base/log.h"
#include "boot/boot_info.h"
#include "boot/boot_trace.h"
#include "boot/initial_stack.h"
#include "boot/options.h"
#include "device/console.h"
#include "mm/address_space.h"
#include "mm/frames.h"
#include "sched/scheduler.h"
#include "syscall/strace.h"

#include <array>

extern "C" {
#pragma GCC visibility push(hidden)
extern const eremite::Component __eremite_components_start[], __eremite_components_end[];
/// musl's: the application begins here.
void _start();
#pragma GCC visibility pop
}

namespace eremite {

namespace {

constexpr u64 k_main_stack_size = 8_MiB;

void initialize_components()
{
    std::span<const Component> components(__eremite_components_start, __eremite_components_end);
    for (Stage stage : { Stage::Bus, Stage::Device, Stage::Subsystem, Stage::Late }) {
        for (const Component& component : components) {
            if (component.stage != stage)
                continue;
            if (auto result = component.init(); result.is_error())
                log_error("{}: not available: error {}", component.name, static_cast<int>(result.error()));
            boot_trace(component.name);
        }
    }
}

/// An option that only some images serve: said of the others.
void warn_if_left_out(std::string_view option, bool is_here, std::string_view build_option)
{
    if (!is_here && boot_option(option))
        log_warning("{} is not in this image: build it with --{}", option, build_option);
}

} // namespace

void kernel_main()
{
    boot_trace("early boot");
    set_log_writer([](std::string_view line) { console().write(line); });
    initialize_memory(boot_info());
    initialize_options();
    boot_trace("memory");
    if (ER_HAS_PART(clock))
        ER_PART(clock).initialize();
    arch::initialize_interrupts(boot_info());
    boot_trace("clock, interrupts");
    if constexpr (k_has_keys) {
        if (arch::keys_are_on())
            log_info("isolation: protection keys");
        else
            log_warning("isolation: no protection keys are in force: as with level stack");
    }
    initialize_scheduler(arch::boot_stack());
    initialize_address_space(!boot_option("nokaslr").has_value());
    arch::enable_interrupts();
    boot_trace("scheduler, address space");
    initialize_components();
    warn_if_left_out("strace", is_traced(), "strace");
    warn_if_left_out("virtio-console", g_has_virtio_console, "console=virtio");

    auto stack = address_space().map_main_stack(k_main_stack_size);
    if (stack.is_error())
        panic("no memory for the program's stack");
    u64 entry = reinterpret_cast<u64>(&_start);
    auto stack_pointer = write_initial_stack(stack.value(), entry);
    if (stack_pointer.is_error())
        panic(stack_pointer.error() == Errno::E2BIG ? "the program's arguments and environment are too long"
                                                    : "no memory for the program's arguments");
    boot_trace("application's stack");
    if (boot_option("boot-trace"))
        print_boot_trace();
    arch::seal_code();
    start_application(entry, stack_pointer.value());
}

} // namespace eremite
