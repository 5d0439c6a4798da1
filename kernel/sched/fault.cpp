// Faults: a page that isn't there yet, a copy from or to the application that goes wrong, a mistake of the
// application's (a signal, or the report and the end), a mistake of the kernel's (the end).
#include "arch/trap.h"

#include "abi/signal.h"
#include "arch/platform.h"
#include "arch/user_copy.h"
#include "base/log.h"
#include "boot/panic.h"
#include "mm/kernel_space.h"
#include "mm/page_fault.h"
#include "sched/process.h"
#include "sched/signal_hooks.h"
#include "syscall/user_pointer.h"
#include <string_view>

namespace eremite {

namespace {

using arch::Access;
using arch::FaultKind;

/// How far below a stack pointer the program may touch its stack: a large frame, or a probe.
constexpr u64 k_stack_reach = 64_KiB;

constexpr std::string_view verb(Access access)
{
    switch (access) {
    case Access::Read:
        return "read";
    case Access::Write:
        return "write";
    case Access::Execute:
        return "execution";
    }
    return "access";
}

/// The protection key of a page.
u8 key_of(u64 address)
{
    VirtualAddress page(address);
    auto translated = PageTable(arch::page_table_root(page)).translate(page);
    return translated.is_error() ? u8 { 0 } : translated.value().attributes.key;
}

/// siginfo's si_signo, si_code and si_addr for a fault; uapi/asm-generic/siginfo.h.
abi::SignalInfo signal_for(const arch::TrapFrame& frame, const arch::Fault& fault, PageFaultResult page)
{
    abi::SignalInfo information;
    auto set = [&](int number, int code, u64 address) {
        information.number = number;
        information.code = code;
        information.fields.fault.address = address;
    };
    u64 instruction = frame.instruction_pointer();
    switch (fault.kind) {
    case FaultKind::Page:
        if (page == PageFaultResult::BeyondEnd || page == PageFaultResult::OutOfMemory)
            set(abi::k_sigbus, abi::k_bus_adrerr, fault.address);
        else
            set(abi::k_sigsegv, page == PageFaultResult::NotAllowed ? abi::k_segv_accerr : abi::k_segv_maperr,
                fault.address);
        break;
    case FaultKind::ProtectionKey:
        set(abi::k_sigsegv, abi::k_segv_pkuerr, fault.address);
        information.fields.fault.key = key_of(fault.address);
        break;
    case FaultKind::InvalidInstruction:
        set(abi::k_sigill, abi::k_ill_illopn, instruction);
        break;
    case FaultKind::DivideError:
        set(abi::k_sigfpe, abi::k_fpe_intdiv, instruction);
        break;
    case FaultKind::FloatingPoint:
        set(abi::k_sigfpe, abi::k_fpe_fltinv, instruction);
        break;
    case FaultKind::Alignment:
        set(abi::k_sigbus, abi::k_bus_adraln, fault.address);
        break;
    case FaultKind::Breakpoint:
        set(abi::k_sigtrap, abi::k_si_kernel, instruction);
        break;
    case FaultKind::SingleStep:
        set(abi::k_sigtrap, abi::k_trap_trace, instruction);
        break;
    case FaultKind::ControlProtection:
        set(abi::k_sigsegv, abi::k_segv_cperr, instruction);
        break;
    case FaultKind::GeneralProtection:
    case FaultKind::Machine:
    case FaultKind::Double:
        set(abi::k_sigsegv, abi::k_si_kernel, 0);
        break;
    }
    return information;
}

bool is_stack_overflow(const arch::TrapFrame& frame, const arch::Fault& fault)
{
    const char* place = describe_address(VirtualAddress(fault.address));
    bool is_guard = !place || std::string_view(place) == "a guard page";
    u64 pointer = frame.stack_pointer();
    return is_guard && fault.access != Access::Execute && fault.address + k_stack_reach > pointer
        && fault.address < pointer + k_stack_reach;
}

void report_page_fault(const arch::TrapFrame& frame, const arch::Fault& fault, PageFaultResult page)
{
    VirtualAddress address(fault.address);
    const char* place = describe_address(address);
    std::string_view what = verb(fault.access);
    u64 from = frame.instruction_pointer();
    const Thread* thread = arch::current_thread();
    if (is_stack_overflow(frame, fault) && thread) {
        log_error("{}: stack overflow in thread {} ({}): {} at {}, stack pointer {:x}, from {:x}", fault.name,
            thread->name(), thread->tid(), what, address, frame.stack_pointer(), from);
        return;
    }
    // One sentence with changing parts, rather than one each: every line costs code.
    std::string_view name = fault.name;
    std::string_view before;
    std::string_view link;
    if (page == PageFaultResult::OutOfMemory) {
        name = "out of memory";
        before = "no frame left for the ";
    } else if (page == PageFaultResult::BeyondEnd) {
        link = " behind the end of a mapped file";
    } else if (fault.address < k_page_size) {
        before = fault.access == Access::Execute ? "call of a null pointer, " : "null dereference: ";
    } else if (!place) {
        link = " of unmapped memory";
    } else {
        link = fault.access == Access::Write ? " to " : " of ";
    }
    if (link.size() != 4)
        place = "";
    log_error("{}: {}{}{}{} at {}, from {:x}", name, before, what, link, place, address, from);
}

void report_key_fault(const arch::TrapFrame& frame, const arch::Fault& fault)
{
    VirtualAddress address(fault.address);
    u8 key = key_of(fault.address);
    std::string_view verb = fault.access == Access::Write ? "wrote" : "read";
    u64 from = frame.instruction_pointer();
    if (!k_has_keys || (key != k_trusted_key && key != k_untrusted_key)) {
        log_error(
            "isolation: application {} memory that it closed by key {}, at {}, from {:x}", verb, key, address, from);
        return;
    }
    const char* place = describe_kernel_address(address);
    if (!place)
        place = describe_address(address);
    log_error("isolation: application {} {} kernel memory at {} ({}), from {:x}", verb,
        key == k_trusted_key ? "trusted" : "untrusted", address, place ? place : "?", from);
}

void report(const arch::TrapFrame& frame, const arch::Fault& fault, PageFaultResult page)
{
    if (fault.kind == FaultKind::Page)
        report_page_fault(frame, fault, page);
    else if (fault.kind == FaultKind::ProtectionKey)
        report_key_fault(frame, fault);
    else
        log_error("{} (code {:x}), from {:x}", fault.name, fault.code, frame.instruction_pointer());
    print_crash_report(frame);
}

/// Whether `address` is in the guard page of a kernel stack; of the running one, wherever that lies.
bool is_below_kernel_stack(u64 address)
{
    u64 bottom = arch::this_cpu().kernel_stack_bottom;
    return (address < bottom && bottom - address <= k_page_size) || is_kernel_stack_guard(VirtualAddress(address));
}

[[noreturn]] void end_kernel(const arch::TrapFrame& frame, const arch::Fault& fault)
{
    const Thread* thread = arch::current_thread();
    if (is_below_kernel_stack(fault.address))
        log_error("panic: kernel stack overflow in thread {} ({})", thread ? thread->name() : "none",
            thread ? thread->tid() : 0);
    else
        log_error("panic: {} in the kernel, thread {} ({}): {} at {}, code {:x}", fault.name,
            thread ? thread->name() : "none", thread ? thread->tid() : 0, verb(fault.access),
            VirtualAddress(fault.address), fault.code);
    print_crash_report(frame);
    arch::power_off(arch::k_kernel_failure);
}

bool is_on_kernel_stack(u64 address)
{
    const arch::PerCpu& cpu = arch::this_cpu();
    return address >= cpu.kernel_stack_bottom && address <= cpu.kernel_stack_top;
}

} // namespace

void handle_fault(arch::TrapFrame& frame, const arch::Fault& fault)
{
    Thread* thread = arch::current_thread();
    bool may_sleep = thread && frame.interrupts_were_enabled() && arch::is_preemptible();
    PageFaultResult page = PageFaultResult::NotMapped;
    // The kernel touches the application's memory on its behalf: those pages come on demand, too. Under a lock they
    // can't: the copy fails, and whoever holds the lock tries again without.
    // The vector registers are the interrupted code's.
    if (thread)
        thread->enter_exception();
    auto leave = [&] {
        if (thread)
            thread->leave_exception();
    };
    if (fault.kind == FaultKind::Page && may_sleep && is_application_range(fault.address, 1)) {
        page = handle_page_fault(VirtualAddress(fault.address), fault.access);
        if (page == PageFaultResult::Resolved) {
            leave();
            return;
        }
    }
    if (u64 fixup = arch::fixup_for(frame.instruction_pointer())) {
        frame.set_instruction_pointer(fixup);
        leave();
        return;
    }
    bool in_kernel = !thread || !thread->is_application() || !is_application(frame)
        || (!k_has_keys && is_on_kernel_stack(frame.stack_pointer())) || fault.kind == FaultKind::Machine
        || fault.kind == FaultKind::Double;
    if (in_kernel)
        end_kernel(frame, fault);

    if (fault.kind == FaultKind::ProtectionKey)
        g_isolation_violations.fetch_add(1, std::memory_order_relaxed);
    abi::SignalInfo information = signal_for(frame, fault, page);
    const SignalHooks* hooks = g_signal_hooks.load(std::memory_order_acquire);
    if (hooks && hooks->deliver_fault(frame, fault, information)) {
        leave();
        return;
    }
    report(frame, fault, page);
    kill_process(information.number);
}

} // namespace eremite
