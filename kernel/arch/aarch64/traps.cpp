#include "arch/trap.h"

#include "arch/aarch64/early.h"
#include "arch/aarch64/gic.h"
#include "arch/context.h"
#include "arch/cpu.h"
#include "arch/user_copy.h"
#include "base/format.h"
#include "mm/kernel_stack.h"

#include <atomic>

extern "C" {
#pragma GCC visibility push(hidden)
eremite::arch::TrapFrame* __eremite_trap_entry(eremite::arch::TrapFrame* frame, eremite::u64 source);
void __eremite_trap_on_thread_stack(eremite::arch::TrapFrame* frame);
eremite::u64 __eremite_restart_address(eremite::u64 pc);
void __eremite_set_entry_stack(eremite::u64 top);
extern const char __eremite_vectors[];
/// Between these, a gate has found nothing pending but hasn't left the kernel stack yet: it must look again.
[[gnu::weak]] extern const char __eremite_gate_check_start[];
[[gnu::weak]] extern const char __eremite_gate_check_end[];
#pragma GCC visibility pop
}

namespace eremite::arch {

namespace {

/// As trap entries in traps.S number them.
enum class Source : u64 { Synchronous = 0, Interrupt = 1, Error = 2, Nested = 3, EntryStackOverflow = 4 };

constexpr u32 k_from_interrupt = ~u32 { 0 }; // in TrapFrame::syndrome of a moved frame

constinit std::atomic<bool> s_crashing { false };

/// Arm ARM, D19.2.40.
Fault decode(const TrapFrame& frame)
{
    u32 exception_class = static_cast<u32>(frame.syndrome >> 26) & 63;
    u32 status = frame.syndrome & 63;
    Fault fault { .kind = FaultKind::GeneralProtection,
        .code = frame.syndrome,
        .number = exception_class,
        .name = "unknown exception" };
    switch (exception_class) {
    case 0x00:
        fault.kind = FaultKind::InvalidInstruction;
        fault.name = "invalid instruction";
        break;
    case 0x07:
    case 0x19:
    case 0x1d:
        fault.kind = FaultKind::InvalidInstruction;
        fault.name = "vector extension that is not enabled";
        break;
    case 0x0d:
        fault.kind = FaultKind::ControlProtection;
        fault.name = "branch to no landing pad";
        break;
    case 0x1c:
        fault.kind = FaultKind::ControlProtection;
        fault.name = "pointer authentication failure";
        break;
    case 0x0e:
        fault.name = "illegal execution state";
        break;
    case 0x15:
    case 0x16:
    case 0x17:
        fault.kind = FaultKind::InvalidInstruction;
        fault.name = "call instruction of another privilege level";
        break;
    case 0x18:
        fault.kind = FaultKind::InvalidInstruction;
        fault.name = "system register that is not there";
        break;
    case 0x20:
    case 0x21:
    case 0x24:
    case 0x25:
        fault.kind = FaultKind::Page;
        fault.name = "page fault";
        fault.address = frame.fault_address;
        if (exception_class <= 0x21)
            fault.access = Access::Execute;
        else if ((frame.syndrome & (1u << 6)) != 0)
            fault.access = Access::Write;
        if (status == 0x21) {
            fault.kind = FaultKind::Alignment;
            fault.name = "unaligned access";
        } else if (status >= 0x10 && status < 0x20) {
            fault.kind = FaultKind::Machine;
            fault.name = "access to memory that is not there";
        } else {
            fault.present = status >= 8 && status <= 15; // access flag, permission
        }
        break;
    case 0x22:
        fault.kind = FaultKind::Alignment;
        fault.name = "unaligned program counter";
        fault.address = frame.fault_address;
        break;
    case 0x26:
        fault.kind = FaultKind::Alignment;
        fault.name = "unaligned stack pointer";
        fault.address = frame.sp;
        break;
    case 0x2c:
        fault.kind = FaultKind::FloatingPoint;
        fault.name = "floating-point exception";
        break;
    case 0x2f:
        fault.kind = FaultKind::Machine;
        fault.name = "system error";
        break;
    case 0x30:
    case 0x31:
    case 0x3c:
        fault.kind = FaultKind::Breakpoint;
        fault.name = "breakpoint";
        break;
    case 0x32:
    case 0x33:
        fault.kind = FaultKind::SingleStep;
        fault.name = "single step";
        break;
    }
    return fault;
}

/// The frame's copy on the thread's kernel stack.
TrapFrame* move_to_thread_stack(const TrapFrame& frame)
{
    const PerCpu& cpu = this_cpu();
    bool on_kernel_stack = frame.sp > cpu.kernel_stack_bottom && frame.sp <= cpu.kernel_stack_top;
    u64 top = on_kernel_stack ? frame.sp : cpu.kernel_stack_top;
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
    dispatch_interrupts();
    cpu.preempt_count -= 1;
    cpu.interrupt_depth -= 1;
    if (!has_pending_work(cpu))
        return &frame;
    frame.pc = __eremite_restart_address(frame.pc);
    // A gate that was about to leave looks for pending work again when it continues.
    u64 start = reinterpret_cast<u64>(__eremite_gate_check_start);
    if (frame.pc >= start && frame.pc < reinterpret_cast<u64>(__eremite_gate_check_end))
        frame.pc = start;
    frame.syndrome = k_from_interrupt;
    return move_to_thread_stack(frame);
}

} // namespace

void begin_crash_report()
{
    s_crashing.store(true, std::memory_order_relaxed);
}

void print_registers(TextSink& sink, const TrapFrame& frame)
{
    for (usize i = 0; i < 28; i += 4)
        format_to(sink, "  x{}\t{:016x}  {:016x}  {:016x}  {:016x}\n", i, frame.x[i], frame.x[i + 1], frame.x[i + 2],
            frame.x[i + 3]);
    format_to(sink, "  x28\t{:016x}  {:016x}  {:016x}  sp {:016x}\n", frame.x[28], frame.x[29], frame.x[30], frame.sp);
    format_to(sink, "  pc\t{:016x}  pstate {:x}  esr {:x}  far {:016x}  tpidr {:016x}\n", frame.pc, frame.pstate,
        frame.syndrome, frame.fault_address, thread_pointer());
}

TrapFrame* trap_entry(TrapFrame& frame, Source source)
{
    if (source == Source::Interrupt)
        return handle_interrupt(frame);
    if (source == Source::EntryStackOverflow) {
        if (s_crashing.load(std::memory_order_relaxed))
            early_fatal("an exception within the report of an exception");
        Fault fault = decode(frame);
        fault.kind = FaultKind::Double;
        fault.name = "entry stack overflow";
        handle_fault(frame, fault);
    }
    if (s_crashing.load(std::memory_order_relaxed)) {
        // The crash report reads memory that may not be there.
        if (u64 fixup = fixup_for(frame.pc)) {
            frame.pc = fixup;
            return &frame;
        }
    }
    const PerCpu& cpu = this_cpu();
    u64 address = frame.fault_address;
    bool overflow = address < cpu.kernel_stack_bottom && address >= cpu.kernel_stack_bottom - k_page_size
        && frame.sp < cpu.kernel_stack_bottom + sizeof(TrapFrame);
    if (overflow || source != Source::Synchronous || !cpu.current || cpu.interrupt_depth != 0) {
        Fault fault = decode(frame);
        if (source == Source::Nested && s_crashing.load(std::memory_order_relaxed))
            early_fatal("an exception within the report of an exception");
        if (overflow)
            fault = { .kind = FaultKind::Double,
                .access = Access::Write,
                .address = address,
                .code = frame.syndrome,
                .number = fault.number,
                .name = "kernel stack overflow" };
        else if (source == Source::Nested && fault.kind == FaultKind::GeneralProtection)
            fault.kind = FaultKind::Double;
        handle_fault(frame, fault);
        return &frame;
    }
    return move_to_thread_stack(frame);
}

void trap_on_thread_stack(TrapFrame& frame)
{
    if (frame.syndrome != k_from_interrupt) {
        if (frame.interrupts_were_enabled())
            enable_interrupts();
        handle_fault(frame, decode(frame));
        disable_interrupts();
        if (!frame.interrupts_were_enabled() || !has_pending_work(this_cpu()))
            return;
    }
    handle_pending_work(frame);
}

void adopt_processor(PerCpu& cpu, u64 entry_stack_top)
{
    cpu.self = &cpu;
    u64 identity;
    asm("mrs %0, mpidr_el1" : "=r"(identity));
    cpu.hardware_id = identity & 0xff00ffffff;
    asm volatile("msr tpidr_el1, %0; msr vbar_el1, %1; isb" : : "r"(&cpu), "r"(__eremite_vectors) : "memory");
    cpu.native = reinterpret_cast<void*>(entry_stack_top - k_kernel_stack_size);
    __eremite_set_entry_stack(entry_stack_top);
    asm volatile("msr daifclr, #4" ::: "memory"); // system errors are reported when they happen
}

} // namespace eremite::arch

eremite::arch::TrapFrame* __eremite_trap_entry(eremite::arch::TrapFrame* frame, eremite::u64 source)
{
    return eremite::arch::trap_entry(*frame, static_cast<eremite::arch::Source>(source));
}

void __eremite_trap_on_thread_stack(eremite::arch::TrapFrame* frame)
{
    eremite::arch::trap_on_thread_stack(*frame);
}
