#include "arch/x86_64/apic.h"

#include "arch/clock.h"
#include "arch/cpu.h"
#include "arch/x86_64/clock.h"
#include "arch/x86_64/cpu_state.h"
#include "arch/x86_64/io.h"
#include "arch/x86_64/traps.h"
#include "arch/x86_64/vectors.h"
#include "base/assert.h"
#include "mm/device_memory.h"

#include <algorithm>

namespace eremite::arch {

namespace {

enum class Register : u32 {
    Id = 0x20,
    TaskPriority = 0x80,
    EndOfInterrupt = 0xb0,
    Spurious = 0xf0,
    CommandLow = 0x300,
    CommandHigh = 0x310,
    Timer = 0x320,
    Local0 = 0x350,
    Local1 = 0x360,
    Error = 0x370,
    InitialCount = 0x380,
    CurrentCount = 0x390,
    Divider = 0x3e0,
};

constexpr u32 k_masked = 1u << 16;
constexpr u32 k_timer_deadline_mode = 2u << 17;
constexpr u64 k_base_enable = 1u << 11;
constexpr u64 k_base_x2apic = 1u << 10;

constinit volatile u32* s_registers = nullptr; // null: x2APIC
constinit bool s_deadline_mode = false;
// Ticks of the one-shot timer a second. QEMU's and KVM's is 1 GHz.
constexpr u64 k_timer_rate = 1'000'000'000;

u32 read(Register index)
{
    auto offset = static_cast<u32>(index);
    if (!s_registers)
        return static_cast<u32>(read_msr(k_msr_x2apic + offset / 16));
#pragma clang unsafe_buffer_usage begin // registers of a page that is mapped whole
    return s_registers[offset / 4];
#pragma clang unsafe_buffer_usage end
}

void write(Register index, u32 value)
{
    auto offset = static_cast<u32>(index);
    if (k_may_write_model_registers && !s_registers)
        return write_msr(k_msr_x2apic + offset / 16, value);
#pragma clang unsafe_buffer_usage begin // registers of a page that is mapped whole
    s_registers[offset / 4] = value;
#pragma clang unsafe_buffer_usage end
}

NativeCpu& native_cpu()
{
    return *static_cast<NativeCpu*>(this_cpu().native);
}

/// Interrupts off: programs the timer for the deadline that is noted.
void program_timer()
{
    Nanoseconds deadline = native_cpu().timer_deadline;
    if (k_may_write_model_registers && s_deadline_mode)
        return write_msr(k_msr_tsc_deadline, deadline == Nanoseconds::max() ? 0 : counter_at(deadline));
    u32 count = 0;
    if (deadline != Nanoseconds::max()) {
        i64 wait = std::max<i64>((deadline - now()).value(), 1);
        static_assert(k_timer_rate == 1'000'000'000);
        count = static_cast<u32>(std::min<i64>(wait, UINT32_MAX)); // too short is fine: on_timer sets it again
    }
    write(Register::InitialCount, count);
}

void on_timer(void*)
{
    NativeCpu& cpu = native_cpu();
    if (cpu.timer_deadline == Nanoseconds::max())
        return;
    if (now() < cpu.timer_deadline)
        return program_timer();
    cpu.timer_deadline = Nanoseconds::max();
    timer_interrupt();
}

} // namespace

void initialize_local_apic()
{
    u64 base = read_msr(k_msr_apic_base) | k_base_enable;
    CpuId features = cpuid(1);
    if (!k_may_write_model_registers && (base & k_base_x2apic) != 0) {
        // The way back to registers in memory is by way of off (SDM 3A, 11.12.5).
        base &= ~u64 { k_base_x2apic };
        write_msr(k_msr_apic_base, base & ~u64 { k_base_enable });
    }
    if (k_may_write_model_registers && (features.ecx & (1u << 21)) != 0) {
        write_msr(k_msr_apic_base, base | k_base_x2apic);
    } else {
        write_msr(k_msr_apic_base, base);
        if (!s_registers) {
            auto mapped = map_device_memory({ PhysicalAddress(base & 0x000f'ffff'ffff'f000), k_page_size });
            if (mapped.is_error())
                panic("no memory to map the local APIC");
            s_registers = static_cast<volatile u32*>(mapped.value());
        }
    }
    s_deadline_mode = k_may_write_model_registers && (features.ecx & (1u << 24)) != 0;
    write(Register::Spurious, 0x100 | k_vector_spurious);
    write(Register::TaskPriority, 0);
    write(Register::Local0, k_masked);
    write(Register::Local1, k_masked);
    write(Register::Error, k_masked);
    write(Register::Divider, 0xb); // by 1
    write(Register::Timer, k_vector_timer | (s_deadline_mode ? k_timer_deadline_mode : 0));
    native_cpu().timer_deadline = Nanoseconds::max();
    set_vector_handler(k_vector_timer, on_timer, nullptr);
    // The mode must be seen before the deadline is written (SDM 3A, 11.5.4.1).
    asm volatile("mfence" ::: "memory");
}

u32 local_apic_id()
{
    return s_registers ? read(Register::Id) >> 24 : read(Register::Id);
}

void acknowledge_interrupt()
{
    write(Register::EndOfInterrupt, 0);
}

void send_interrupt(u32 apic_id, u32 vector, Delivery delivery)
{
    u32 low = vector | static_cast<u32>(delivery) << 8 | 1u << 14;
    if (k_may_write_model_registers && !s_registers) {
        // Not serialising: what the other processor is to see must be out first.
        asm volatile("mfence; lfence" ::: "memory");
        return write_msr(k_msr_x2apic + static_cast<u32>(Register::CommandLow) / 16, u64 { apic_id } << 32 | low);
    }
    bool enabled = disable_interrupts();
    write(Register::CommandHigh, apic_id << 24);
    write(Register::CommandLow, low);
    while ((read(Register::CommandLow) & (1u << 12)) != 0)
        relax();
    if (enabled)
        enable_interrupts();
}

void set_timer(Nanoseconds deadline)
{
    ER_NEEDS(local_apic);
    bool enabled = disable_interrupts();
    native_cpu().timer_deadline = deadline;
    program_timer();
    if (enabled)
        enable_interrupts();
}

ER_DEFINE_PART(LocalApicPart, local_apic, initialize_local_apic, local_apic_id, acknowledge_interrupt)

} // namespace eremite::arch
