#include "arch/trap.h"

#include "arch/context.h"
#include "arch/cpu.h"
#include "arch/user_copy.h"
#include "arch/x86_64/apic.h"
#include "arch/x86_64/cpu_state.h"
#include "arch/x86_64/io.h"
#include "arch/x86_64/traps.h"
#include "arch/x86_64/vectors.h"
#include "base/assert.h"
#include "boot/image.h"

#include <algorithm>
#include <array>
#include <atomic>

extern "C" {
eremite::arch::TrapFrame* __eremite_trap_entry(eremite::arch::TrapFrame* frame);
void __eremite_trap_on_thread_stack(eremite::arch::TrapFrame* frame);
#pragma GCC visibility push(hidden)
/// Between these, a gate has found nothing pending but hasn't left the kernel stack yet: it must look again.
extern const char __eremite_gate_check_start[], __eremite_gate_check_end[];
#pragma GCC visibility pop
}

namespace eremite::arch {

namespace {

struct Handler {
    InterruptHandler function { nullptr };
    void* context { nullptr };
};
constinit std::array<Handler, k_vector_count> s_handlers {};
constinit std::atomic<bool> s_crashing { false };

struct ExceptionName {
    FaultKind kind;
    const char* name;
};

ExceptionName describe(u32 vector)
{
    switch (vector) {
    case 0:
        return { FaultKind::DivideError, "divide error" };
    case 1:
        return { FaultKind::SingleStep, "debug exception" };
    case 2:
        return { FaultKind::Machine, "non-maskable interrupt" };
    case 3:
        return { FaultKind::Breakpoint, "breakpoint" };
    case 4:
    case 5:
        return { FaultKind::GeneralProtection, "bound exceeded" };
    case 6:
        return { FaultKind::InvalidInstruction, "invalid instruction" };
    case 7:
        return { FaultKind::InvalidInstruction, "no floating point" };
    case 8:
        return { FaultKind::Double, "double fault" };
    case 12:
        return { FaultKind::GeneralProtection, "stack segment fault" };
    case 13:
        return { FaultKind::GeneralProtection, "general protection fault" };
    case 14:
        return { FaultKind::Page, "page fault" };
    case 16:
    case 19:
        return { FaultKind::FloatingPoint, "floating-point exception" };
    case 17:
        return { FaultKind::Alignment, "alignment check" };
    case 18:
        return { FaultKind::Machine, "machine check" };
    case 21:
        return { FaultKind::ControlProtection, "control protection" };
    default:
        return { FaultKind::GeneralProtection, "unknown exception" };
    }
}

/// Intel SDM 3A, 4.7.
Fault decode(const TrapFrame& frame, u64 address)
{
    ExceptionName exception = describe(static_cast<u32>(frame.vector));
    Fault fault {
        .kind = exception.kind,
        .code = frame.error_code,
        .number = static_cast<u32>(frame.vector),
        .name = exception.name,
    };
    if (frame.vector == k_vector_page_fault) {
        fault.address = address;
        fault.present = (frame.error_code & 1) != 0;
        if ((frame.error_code & 0x20) != 0)
            fault.kind = FaultKind::ProtectionKey;
        if ((frame.error_code & 2) != 0)
            fault.access = Access::Write;
        else if ((frame.error_code & 0x10) != 0)
            fault.access = Access::Execute;
    }
    return fault;
}

NativeCpu& native_cpu()
{
    return *static_cast<NativeCpu*>(this_cpu().native);
}

bool on_entry_stack(u64 stack_pointer)
{
    for (const NativeCpu::Bounds& stack : native_cpu().entry_stacks) {
        if (stack_pointer > stack.bottom && stack_pointer <= stack.top)
            return true;
    }
    return false;
}

/// Whether the kernel itself was interrupted: with keys it is known, otherwise the stack pointer tells.
bool was_in_kernel([[maybe_unused]] const TrapFrame& frame)
{
#if EREMITE_ISOLATION == 2
    return frame.domain == k_domain_kernel;
#else
    return true;
#endif
}

#if EREMITE_ISOLATION == 2
/// An entry of eremite_openings (rights.inc): between `open` and `opened`, keys are open and nobody knows yet.
struct Opening {
    i32 open;
    i32 opened;
    i32 again;
};
extern "C" [[gnu::visibility("hidden")]] const Opening __start_eremite_openings[], __stop_eremite_openings[];

u64 resolve(const i32& field)
{
    return reinterpret_cast<u64>(&field) + static_cast<u64>(i64 { field });
}

/// Makes a frame that isn't the kernel's one that may be gone on with. True: the exception was of a gate's own, which
/// begins anew.
bool tame(TrapFrame& frame)
{
    if (frame.domain == k_domain_kernel)
        return false;
    frame.rights |= frame.domain == k_domain_application ? k_kernel_bits : k_trusted_bits;
    if (!is_kernel_text(frame.rip))
        return false;
    if (frame.rip == reinterpret_cast<u64>(__eremite_gate_check_end)) {
        frame.rsp = frame.rbp;
        frame.rip += 3; // mov %rbp, %rsp
    }
    for (const Opening& opening : std::span(__start_eremite_openings, __stop_eremite_openings)) {
        if (frame.rip >= resolve(opening.open) && frame.rip < resolve(opening.opened)) {
            frame.rip = resolve(opening.again);
            // The application had changed GS; the entry stub has mended it.
            return frame.vector == k_vector_page_fault && read_cr2() < k_page_size;
        }
    }
    return false;
}
#endif

/// The frame's copy on the thread's kernel stack.
TrapFrame* move_to_thread_stack(const TrapFrame& frame)
{
    const PerCpu& cpu = this_cpu();
    bool on_kernel_stack
        = was_in_kernel(frame) && frame.rsp > cpu.kernel_stack_bottom && frame.rsp <= cpu.kernel_stack_top;
    u64 top = on_kernel_stack ? frame.rsp : cpu.kernel_stack_top;
    auto* copy = reinterpret_cast<TrapFrame*>(align_down(top - sizeof(TrapFrame), 16));
    *copy = frame;
    return copy;
}

bool has_pending_work(const PerCpu& cpu)
{
    return (cpu.pending.load(std::memory_order_relaxed) & (k_pending_reschedule | k_pending_signal)) != 0
        && cpu.preempt_count == 0 && cpu.current != nullptr;
}

TrapFrame* handle_interrupt(TrapFrame& frame)
{
    PerCpu& cpu = this_cpu();
    cpu.interrupt_depth += 1;
    cpu.preempt_count += 1;
    const Handler& handler = s_handlers[frame.vector];
    if (handler.function)
        handler.function(handler.context);
    if (frame.vector >= k_first_device_vector && frame.vector != k_vector_spurious)
        ER_PART(local_apic).acknowledge();
    cpu.preempt_count -= 1;
    cpu.interrupt_depth -= 1;
    if (!has_pending_work(cpu))
        return &frame;
    // A gate that was about to leave looks for pending work again when it continues.
    u64 start = reinterpret_cast<u64>(__eremite_gate_check_start);
    if (was_in_kernel(frame) && frame.rip >= start && frame.rip < reinterpret_cast<u64>(__eremite_gate_check_end))
        frame.rip = start;
    return move_to_thread_stack(frame);
}

} // namespace

void set_vector_handler(u32 vector, InterruptHandler function, void* context)
{
    s_handlers[vector] = { function, context };
}

void begin_crash_report()
{
    s_crashing.store(true, std::memory_order_relaxed);
}

void print_registers(TextSink& sink, const TrapFrame& frame)
{
    format_to(
        sink, "  rip {:016x}  rsp {:016x}  rbp {:016x}  flags {:x}\n", frame.rip, frame.rsp, frame.rbp, frame.rflags);
    format_to(
        sink, "  rax {:016x}  rbx {:016x}  rcx {:016x}  rdx {:016x}\n", frame.rax, frame.rbx, frame.rcx, frame.rdx);
    format_to(sink, "  rsi {:016x}  rdi {:016x}  r8  {:016x}  r9  {:016x}\n", frame.rsi, frame.rdi, frame.r8, frame.r9);
    format_to(
        sink, "  r10 {:016x}  r11 {:016x}  r12 {:016x}  r13 {:016x}\n", frame.r10, frame.r11, frame.r12, frame.r13);
    format_to(sink, "  r14 {:016x}  r15 {:016x}  fs  {:016x}  cr2 {:016x}\n", frame.r14, frame.r15, thread_pointer(),
        read_cr2());
}

TrapFrame* trap_entry(TrapFrame& frame)
{
#if EREMITE_ISOLATION == 2
    if (tame(frame))
        return &frame;
#endif
    if (frame.vector >= k_first_interrupt_vector)
        return handle_interrupt(frame);

    u64 address = frame.vector == k_vector_page_fault ? read_cr2() : 0;
    if (s_crashing.load(std::memory_order_relaxed)) {
        // The crash report reads memory that may not be there.
        if (u64 fixup = fixup_for(frame.rip)) {
            frame.rip = fixup;
            return &frame;
        }
    }
    const PerCpu& cpu = this_cpu();
    bool overflow = address < cpu.kernel_stack_bottom && address >= cpu.kernel_stack_bottom - k_page_size
        && frame.rsp < cpu.kernel_stack_bottom + sizeof(TrapFrame);
    bool fatal = frame.vector == k_vector_double_fault || frame.vector == k_vector_nmi
        || frame.vector == k_vector_machine_check;
    bool nowhere_to_go = overflow || cpu.interrupt_depth != 0 || on_entry_stack(frame.rsp);
    if (fatal || !cpu.current || (nowhere_to_go && was_in_kernel(frame))) {
        handle_fault(frame, decode(frame, address));
        return &frame;
    }
    native_cpu().fault_address = address;
    return move_to_thread_stack(frame);
}

void trap_on_thread_stack(TrapFrame& frame)
{
    if (frame.vector < k_first_interrupt_vector) {
        Fault fault = decode(frame, native_cpu().fault_address);
        if (frame.interrupts_were_enabled())
            enable_interrupts();
        handle_fault(frame, fault);
        disable_interrupts();
        if (!frame.interrupts_were_enabled() || !has_pending_work(this_cpu()))
            return;
    }
    handle_pending_work(frame);
}

} // namespace eremite::arch

eremite::arch::TrapFrame* __eremite_trap_entry(eremite::arch::TrapFrame* frame)
{
    return eremite::arch::trap_entry(*frame);
}

void __eremite_trap_on_thread_stack(eremite::arch::TrapFrame* frame)
{
    eremite::arch::trap_on_thread_stack(*frame);
}
