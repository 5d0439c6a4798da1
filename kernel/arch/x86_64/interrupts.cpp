// Vectors for devices: messages to the local APIC, and the lines of the IOAPIC (Intel 82093AA).
#include "arch/interrupt.h"

#include "arch/cpu.h"
#include "arch/platform.h"
#include "arch/x86_64/apic.h"
#include "arch/x86_64/io.h"
#include "arch/x86_64/smp.h"
#include "arch/x86_64/traps.h"
#include "arch/x86_64/vectors.h"
#include "base/owned.h"
#include "mm/device_memory.h"
#include "sync/spin_lock.h"

#include <array>

namespace eremite::arch {

namespace {

constinit SpinLock s_lock;
constinit u32 s_next_vector GUARDED_BY(s_lock) = k_first_device_vector;

/// Vectors are never given back: devices stay.
Result<u32> allocate_vector() REQUIRES(s_lock)
{
    if (s_next_vector == k_end_device_vector)
        return Errno::ENOSPC;
    return s_next_vector++;
}

/// One of the machine's IOAPICs, by its first line.
class IoApic {
public:
    bool exists() const { return m_registers != nullptr; }
    u32 line_count() const { return m_line_count; }

    Result<> map(PhysicalAddress address)
    {
        m_registers = static_cast<volatile u32*>(TRY(map_device_memory({ address, k_page_size })));
        u32 version = read(1);
        // Nothing there reads as all ones.
        m_line_count = version == ~0u ? 0 : (version >> 16 & 0xff) + 1;
        return {};
    }

    void set_line(u32 line, u32 vector, u32 apic_id, Trigger trigger)
    {
        u32 low = vector;
        if (trigger != Trigger::EdgeRising)
            low |= 1u << 15;
        if (trigger == Trigger::LevelLow)
            low |= 1u << 13;
        write(0x11 + 2 * line, apic_id << 24);
        write(0x10 + 2 * line, low);
    }

private:
    u32 read(u32 index)
    {
#pragma clang unsafe_buffer_usage begin // two registers in a page that is mapped
        m_registers[0] = index;
        return m_registers[4];
#pragma clang unsafe_buffer_usage end
    }
    void write(u32 index, u32 value)
    {
#pragma clang unsafe_buffer_usage begin
        m_registers[0] = index;
        m_registers[4] = value;
#pragma clang unsafe_buffer_usage end
    }

    volatile u32* m_registers { nullptr };
    u32 m_line_count { 0 };
};

/// A handler of a line; lines may be shared.
struct LineHandler {
    InterruptHandler function;
    void* context;
    LineHandler* next;
};

constexpr u32 k_line_limit = 48;
// QEMU's machines all have the first, microvm a second one for its virtio-mmio devices.
constexpr std::array<u64, 2> k_io_apic_addresses { 0xfec0'0000, 0xfec1'0000 };
constinit std::array<IoApic, 2> s_io_apics GUARDED_BY(s_lock) {};
constinit std::array<LineHandler*, k_line_limit> s_lines {};

void on_line(void* context)
{
    for (auto* handler = *static_cast<LineHandler**>(context); handler; handler = handler->next)
        handler->function(handler->context);
}

Result<> route(u32 line, u32 vector, Trigger trigger) REQUIRES(s_lock)
{
    u32 first = 0;
    for (usize i = 0; i < s_io_apics.size(); ++i) {
        if (!s_io_apics[i].exists())
            TRY(s_io_apics[i].map(PhysicalAddress(k_io_apic_addresses[i])));
        if (line - first < s_io_apics[i].line_count()) {
            s_io_apics[i].set_line(line - first, vector, local_apic_id(), trigger);
            return {};
        }
        first += s_io_apics[i].line_count();
    }
    return Errno::EINVAL;
}

void on_reschedule(void*)
{
    // What is pending was noted by the sender; the way out looks at it.
}

} // namespace

void initialize_interrupts(const BootInfo&)
{
    // The legacy controllers' vectors collide with exceptions, and nobody listens to them.
    out8(0x21, 0xff);
    out8(0xa1, 0xff);
    set_cpu(0, this_cpu());
    if (!ER_HAS_PART(local_apic))
        return;
    ER_PART(local_apic).initialize();
    this_cpu().hardware_id = ER_PART(local_apic).id();
    set_vector_handler(k_vector_reschedule, on_reschedule, nullptr);
}

Result<MsiMessage> bind_message_interrupt(u32, u32 cpu, InterruptHandler handler, void* context)
{
    ER_NEEDS(local_apic);
    PerCpu* target = cpu_by_number(cpu);
    if (!target)
        return Errno::EINVAL;
    Locked lock(s_lock);
    u32 vector = TRY(allocate_vector());
    set_vector_handler(vector, handler, context);
    return MsiMessage { .address = 0xfee0'0000 | target->hardware_id << 12, .data = vector };
}

Result<> bind_wired_interrupt(u32 line, Trigger trigger, InterruptHandler handler, void* context)
{
    ER_NEEDS(local_apic);
    if (line >= k_line_limit)
        return Errno::EINVAL;
    // The IOAPIC has the PIT at line 2, where the legacy controllers cascade.
    if (line == 0)
        line = 2;
    auto entry = TRY(make<LineHandler>(handler, context, nullptr));
    Locked lock(s_lock);
    if (s_lines[line]) {
        LineHandler* last = s_lines[line];
        while (last->next)
            last = last->next;
        last->next = entry.leak();
        return {};
    }
    u32 vector = TRY(allocate_vector());
    set_vector_handler(vector, on_line, &s_lines[line]);
    s_lines[line] = entry.leak();
    return route(line, vector, trigger);
}

void send_reschedule(u32 cpu)
{
    if (PerCpu* target = cpu_by_number(cpu))
        send_interrupt(static_cast<u32>(target->hardware_id), k_vector_reschedule);
}

} // namespace eremite::arch
