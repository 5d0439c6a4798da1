#include "arch/aarch64/gic.h"

#include "arch/aarch64/early.h"
#include "arch/aarch64/smp.h"
#include "arch/cpu.h"
#include "arch/platform.h"
#include "base/assert.h"
#include "mm/device_memory.h"
#include "sync/spin_lock.h"

#include <algorithm>
#include <array>

namespace eremite::arch {

namespace {

// Distributor.
constexpr usize k_gicd_ctlr = 0x0000;
constexpr usize k_gicd_typer = 0x0004;
constexpr usize k_gicd_igroupr = 0x0080;
constexpr usize k_gicd_isenabler = 0x0100;
constexpr usize k_gicd_ipriorityr = 0x0400;
constexpr usize k_gicd_itargetsr = 0x0800;
constexpr usize k_gicd_icfgr = 0x0c00;
constexpr usize k_gicd_sgir = 0x0f00;
constexpr usize k_gicd_irouter = 0x6000;
// GICv2's processor interface.
constexpr usize k_gicc_ctlr = 0x00;
constexpr usize k_gicc_pmr = 0x04;
constexpr usize k_gicc_iar = 0x0c;
constexpr usize k_gicc_eoir = 0x10;
// GICv3's redistributor; SGIs and PPIs are in its second 64 KiB.
constexpr usize k_gicr_typer = 0x0008;
constexpr usize k_gicr_waker = 0x0014;
constexpr usize k_gicr_sgi = 0x10000;
// GICv2m (Arm's Server Base System Architecture, appendix E).
constexpr usize k_v2m_typer = 0x008;
constexpr usize k_v2m_set_spi = 0x040;

constexpr u32 k_spurious = 1020; // 1020 to 1023
constexpr u8 k_priority = 0xa0;

struct Controller {
    u32 version { 0 };
    u8* distributor { nullptr };
    u8* processor_interface { nullptr };
    u32 line_count { 0 };
    // GICv2m
    u64 message_address { 0 };
    u32 next_message { 0 };
    u32 message_end { 0 };
};
constinit Controller s_gic;
constinit std::array<Redistributor, k_max_cpus> s_redistributors {};

struct Handler {
    InterruptHandler function { nullptr };
    void* context { nullptr };
    Handler* next { nullptr };
};
/// More than drivers ever bind; a table, so that interrupts never meet a list that is being changed.
constexpr usize k_max_handlers = 256;
constinit std::array<Handler, k_max_handlers> s_handlers {};
constinit std::array<Handler, 32> s_private {};
constinit std::array<Handler*, k_interrupt_lines> s_lines {};
constinit InterruptSpinLock s_lock;
constinit usize s_handler_count GUARDED_BY(s_lock) = 0;

u8* map_registers(DeviceTree::Node node, usize index, const char* what)
{
    auto range = node.reg(index);
    if (range.is_error())
        early_fatal(what);
    auto registers = map_device_memory(range.value());
    if (registers.is_error())
        early_fatal("no memory to map the interrupt controller");
    return static_cast<u8*>(registers.value());
}

u64 affinity_of(u64 mpidr)
{
    return mpidr & 0xff00ffffff;
}

void find_redistributors(DeviceTree::Node node)
{
    // Regions follow the distributor in reg; each is a row of redistributors of 128 KiB (256 with GICv4).
    u32 regions = node.property("#redistributor-regions").cell(0);
    for (usize region = 0; region < std::max(regions, 1u); ++region) {
        auto range = node.reg(1 + region);
        if (range.is_error())
            early_fatal("device tree: the interrupt controller has no redistributors");
        auto mapped = map_device_memory(range.value());
        if (mapped.is_error())
            early_fatal("no memory to map the interrupt controller");
        std::span<u8> registers(static_cast<u8*>(mapped.value()), range.value().length);
        for (usize offset = 0; offset + 0x20000 <= registers.size();) {
            u8* one = &registers[offset];
            u64 type = read64(one, k_gicr_typer);
            u64 affinity = (type >> 32 & 0xffffff) | (type >> 56) << 32;
            for (u32 cpu = 0; cpu < processor_count(); ++cpu) {
                if (processor_identity(cpu) == affinity)
                    s_redistributors[cpu]
                        = { one, range.value().start.value() + offset, static_cast<u32>(type >> 8) & 0xffff };
            }
            offset += (type & 2) != 0 ? 0x40000 : 0x20000;
            if ((type & 0x10) != 0)
                break;
        }
    }
}

void initialize_distributor()
{
    u8* distributor = s_gic.distributor;
    write32(distributor, k_gicd_ctlr, 0);
    s_gic.line_count = std::min(((read32(distributor, k_gicd_typer) & 31) + 1) * 32, k_interrupt_lines);
    // Lines keep the state of reset (disabled); binding a line sets it up.
    if (s_gic.version == 2)
        write32(distributor, k_gicd_ctlr, 1);
    else
        write32(distributor, k_gicd_ctlr, 0x10 | 3); // routing by affinity, both groups
}

/// Enables a shared line on processor 0.
void enable_line(u32 line, bool edge)
{
    u8* distributor = s_gic.distributor;
    write8(distributor, k_gicd_ipriorityr + line, k_priority);
    usize word = k_gicd_icfgr + line / 16 * 4;
    u32 shift = line % 16 * 2;
    write32(distributor, word, (read32(distributor, word) & ~(3u << shift)) | (edge ? 2u << shift : 0));
    if (s_gic.version == 2) {
        write8(distributor, k_gicd_itargetsr + line, 1);
    } else {
        usize group = k_gicd_igroupr + line / 32 * 4;
        write32(distributor, group, read32(distributor, group) | 1u << (line % 32));
        write64(distributor, k_gicd_irouter + usize { line } * 8, affinity_of(processor_identity(0)));
    }
    write32(distributor, k_gicd_isenabler + line / 32 * 4, 1u << (line % 32));
}

/// The registers by which a GICv2 takes messages, looked for when there is a first one.
Result<> find_message_frame()
{
    auto frame = device_tree().known(DeviceTree::Known::MessageFrame);
    if (!frame)
        return Errno::EOPNOTSUPP;
    u8* registers = map_registers(frame, 0, "device tree: the message frame has no registers");
    u32 type = read32(registers, k_v2m_typer);
    s_gic.next_message = type >> 16 & 0x3ff;
    s_gic.message_end = std::min(s_gic.next_message + (type & 0x3ff), s_gic.line_count);
    s_gic.message_address = frame.reg(0).value().start.value() + k_v2m_set_spi;
    return {};
}

Result<> add_handler(u32 line, InterruptHandler function, void* context)
{
    Locked lock(s_lock);
    if (s_handler_count == k_max_handlers)
        return Errno::ENOSPC;
    Handler& handler = s_handlers[s_handler_count++];
    handler = { function, context, s_lines[line] };
    std::atomic_ref(s_lines[line]).store(&handler, std::memory_order_release);
    return {};
}

void dispatch(u32 number)
{
    if (number < k_first_shared_interrupt) {
        if (s_private[number].function)
            s_private[number].function(s_private[number].context);
        return;
    }
    run_handlers(number);
}

} // namespace

void run_handlers(u32 number)
{
    if (number >= k_interrupt_lines)
        return;
    for (Handler* handler = std::atomic_ref(s_lines[number]).load(std::memory_order_acquire); handler;
        handler = handler->next)
        handler->function(handler->context);
}

void dispatch_interrupts()
{
    if (s_gic.version == 2) {
        while (true) {
            u32 acknowledged = read32(s_gic.processor_interface, k_gicc_iar);
            u32 number = acknowledged & 0x3ff;
            if (number >= k_spurious)
                return;
            dispatch(number);
            write32(s_gic.processor_interface, k_gicc_eoir, acknowledged);
        }
    }
    while (true) {
        u64 number;
        asm volatile("mrs %0, s3_0_c12_c12_0; dsb sy" : "=r"(number)::"memory"); // ICC_IAR1_EL1
        if (number >= k_spurious && number < k_first_lpi)
            return;
        if (number >= k_first_lpi)
            run_message_handler(static_cast<u32>(number));
        else
            dispatch(static_cast<u32>(number));
        asm volatile("msr s3_0_c12_c12_1, %0; isb" : : "r"(number) : "memory"); // ICC_EOIR1_EL1
    }
}

void initialize_interrupt_controller()
{
    const DeviceTree& tree = device_tree();
    DeviceTree::Node node = tree.known(DeviceTree::Known::Gic3);
    s_gic.version = 3;
    if (!node) {
        s_gic.version = 2;
        node = tree.known(DeviceTree::Known::Gic2);
    }
    if (!node)
        early_fatal("device tree: there is no interrupt controller that we know (GICv2, GICv3)");
    s_gic.distributor = map_registers(node, 0, "device tree: the interrupt controller has no registers");
    initialize_distributor();
    if (s_gic.version == 3) {
        find_redistributors(node);
    } else {
        s_gic.processor_interface = map_registers(node, 1, "device tree: the interrupt controller has no registers");
    }
    initialize_interrupt_processor();
}

void initialize_interrupt_processor()
{
    u32 cpu = this_cpu().id;
    if (s_gic.version == 2) {
        for (usize i = 0; i < k_first_shared_interrupt; ++i)
            write8(s_gic.distributor, k_gicd_ipriorityr + i, k_priority);
        write32(s_gic.processor_interface, k_gicc_pmr, 0xff);
        write32(s_gic.processor_interface, k_gicc_ctlr, 1);
    } else {
        u8* registers = s_redistributors[cpu].registers;
        if (!registers)
            early_fatal("the interrupt controller has no redistributor for this processor");
        write32(registers, k_gicr_waker, read32(registers, k_gicr_waker) & ~2u);
        while ((read32(registers, k_gicr_waker) & 4) != 0)
            relax();
        write32(registers, k_gicr_sgi + k_gicd_igroupr, ~0u);
        for (usize i = 0; i < k_first_shared_interrupt; ++i)
            write8(registers, k_gicr_sgi + k_gicd_ipriorityr + i, k_priority);
        u64 enable;
        asm volatile("mrs %0, s3_0_c12_c12_5" : "=r"(enable)); // ICC_SRE_EL1
        asm volatile("msr s3_0_c12_c12_5, %0; isb" : : "r"(enable | 1));
        asm volatile("msr s3_0_c4_c6_0, %0" : : "r"(u64 { 0xff })); // ICC_PMR_EL1
        asm volatile("msr s3_0_c12_c12_7, %0; isb" : : "r"(u64 { 1 })); // ICC_IGRPEN1_EL1
    }
    enable_private_interrupt(k_sgi_reschedule);
    enable_private_interrupt(k_sgi_call);
}

void set_private_handler(u32 number, void (*handler)(void*), void* context)
{
    ASSERT(number < k_first_shared_interrupt);
    s_private[number].context = context;
    s_private[number].function = handler;
}

void enable_private_interrupt(u32 number)
{
    u8* registers = s_gic.distributor;
    usize offset = k_gicd_isenabler;
    if (s_gic.version == 3) {
        registers = s_redistributors[this_cpu().id].registers;
        offset += k_gicr_sgi;
    }
    write32(registers, offset, 1u << number);
}

void send_private_interrupt(u32 cpu, u32 number)
{
    asm volatile("dsb ishst" ::: "memory");
    if (s_gic.version == 2) {
        write32(s_gic.distributor, k_gicd_sgir, 1u << (16 + cpu) | number);
        return;
    }
    u64 affinity = processor_identity(cpu);
    // Arm IHI 0069, ICC_SGI1R_EL1: target list within a cluster of 16.
    u64 value = (affinity >> 32 & 0xff) << 48 | (affinity >> 16 & 0xff) << 32 | u64 { number } << 24
        | (affinity >> 8 & 0xff) << 16 | (affinity >> 4 & 0xf) << 44 | u64 { 1 } << (affinity & 0xf);
    asm volatile("msr s3_0_c12_c11_5, %0; isb" : : "r"(value) : "memory");
}

Redistributor redistributor_of(u32 cpu)
{
    return s_gic.version == 3 && cpu < k_max_cpus ? s_redistributors[cpu] : Redistributor {};
}

Result<> bind_wired_interrupt(u32 line, Trigger trigger, InterruptHandler handler, void* context)
{
    if (line < k_first_shared_interrupt || line >= s_gic.line_count)
        return Errno::EINVAL;
    TRY(add_handler(line, handler, context));
    enable_line(line, trigger == Trigger::EdgeRising);
    return {};
}

Result<MsiMessage> bind_message_interrupt(u32 device_id, u32 cpu, InterruptHandler handler, void* context)
{
    if (s_gic.version == 3)
        return bind_translated_message(device_id, cpu, handler, context);
    u32 line;
    {
        Locked lock(s_lock);
        if (s_gic.message_address == 0)
            TRY(find_message_frame());
        if (s_gic.next_message >= s_gic.message_end)
            return Errno::ENOSPC;
        line = s_gic.next_message++;
    }
    TRY(bind_wired_interrupt(line, Trigger::EdgeRising, handler, context));
    if (cpu != 0 && cpu < 8)
        write8(s_gic.distributor, k_gicd_itargetsr + line, static_cast<u8>(1u << cpu));
    return MsiMessage { s_gic.message_address, line };
}

void initialize_interrupts(const BootInfo&)
{
    initialize_interrupt_controller();
    initialize_processor_calls();
    initialize_timer_interrupt();
}

void send_reschedule(u32 cpu)
{
    send_private_interrupt(cpu, k_sgi_reschedule);
}

} // namespace eremite::arch
