#include "arch/platform.h"

#include "arch/aarch64/early.h"
#include "arch/aarch64/gic.h"
#include "arch/aarch64/psci.h"
#include "arch/cpu.h"
#include "arch/interrupt.h"
#include "arch/paging.h"

#include <array>

namespace eremite::arch {

namespace {

// PL011 (Arm DDI 0183).
constexpr usize k_uart_data = 0x00;
constexpr usize k_uart_flags = 0x18;
constexpr usize k_uart_line_control = 0x2c;
constexpr usize k_uart_control = 0x30;
constexpr usize k_uart_interrupt_mask = 0x38;
constexpr usize k_uart_interrupt_clear = 0x44;
constexpr u32 k_receive_empty = 1u << 4;
constexpr u32 k_transmit_full = 1u << 5;
constexpr u32 k_receive_interrupts = (1u << 4) | (1u << 6); // level reached, and timeout

constinit void (*s_input_handler)() = nullptr;

u8* uart()
{
    return reinterpret_cast<u8*>(platform().uart);
}

u64 psci(u64 function, u64 a = 0, u64 b = 0, u64 c = 0)
{
    register u64 x0 asm("x0") = function;
    register u64 x1 asm("x1") = a;
    register u64 x2 asm("x2") = b;
    register u64 x3 asm("x3") = c;
    // SMC calling convention: x4 to x17 may be lost.
    if (platform().conduit == Conduit::Smc)
        asm volatile("smc #0"
            : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)::"x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13",
            "x14", "x15", "x16", "x17", "memory");
    else
        asm volatile("hvc #0"
            : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)::"x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13",
            "x14", "x15", "x16", "x17", "memory");
    return x0;
}

} // namespace

i64 psci_start_processor(u64 identity, u64 physical_entry, u64 argument)
{
    if (platform().conduit == Conduit::None)
        return -1;
    return static_cast<i32>(psci(0xc4000003, identity, physical_entry, argument));
}

void psci_power_off()
{
    if (platform().conduit != Conduit::None)
        psci(0x84000008);
}

void initialize_cpu_early()
{
    // early.cpp has done it: vectors, entry stack and per-processor block are there from the first mapped instruction.
}

void early_console_write(std::string_view text)
{
    if (platform().uart == 0)
        return;
    for (char c : text) {
        while ((read32(uart(), k_uart_flags) & k_transmit_full) != 0)
            relax();
        write32(uart(), k_uart_data, static_cast<u8>(c));
    }
}

int early_console_read()
{
    if (platform().uart == 0 || (read32(uart(), k_uart_flags) & k_receive_empty) != 0)
        return -1;
    return static_cast<u8>(read32(uart(), k_uart_data));
}

Result<> early_console_enable_input(void (*handler)())
{
    if (platform().uart == 0)
        return Errno::ENODEV;
    bool bound = s_input_handler != nullptr;
    s_input_handler = handler;
    if (!bound) {
        auto interrupt = TRY(find_console(device_tree()).interrupt(0));
        TRY(bind_wired_interrupt(
            interrupt.number, Trigger::LevelHigh,
            [](void*) {
                s_input_handler();
                write32(uart(), k_uart_interrupt_clear, k_receive_interrupts);
            },
            nullptr));
    }
    write32(uart(), k_uart_line_control, 0x70); // 8 bits, FIFOs
    write32(uart(), k_uart_control, 0x301); // on, both directions
    write32(uart(), k_uart_interrupt_mask, k_receive_interrupts);
    return {};
}

void early_fatal(std::string_view message)
{
    if (platform().uart == 0)
        platform().uart = k_fallback_uart + (platform().is_mapped ? address_layout().direct_map : 0);
    early_console_write("eremite: error: ");
    early_console_write(message);
    early_console_write("\n");
    power_off(k_kernel_failure);
}

void power_off(int status)
{
    disable_interrupts();
    if (platform().semihosting) {
        // ADP_Stopped_ApplicationExit and the status (Arm's semihosting specification, SYS_EXIT_EXTENDED).
        std::array<u64, 2> block { 0x20026, static_cast<u64>(status & 0xff) };
        register u64 operation asm("x0") = 0x20;
        register u64 argument asm("x1") = reinterpret_cast<u64>(block.data());
        asm volatile("hlt #0xf000" : "+r"(operation) : "r"(argument) : "memory");
    }
    if (platform().conduit == Conduit::None) // no device tree: what QEMU's virt machine has
        platform().conduit = platform().entered_at_el2 ? Conduit::Smc : Conduit::Hvc;
    psci_power_off();
    while (true)
        asm volatile("wfi");
}

ProcessorFacts processor_facts()
{
    // Linux's bits (arch/arm64/include/uapi/asm/hwcap.h) of what the register's fields tell (Arm ARM, D19.2.61).
    u64 features;
    asm("mrs %0, id_aa64isar0_el1" : "=r"(features));
    auto field = [&](unsigned shift) { return features >> shift & 15; };
    u64 capabilities = 3; // floating point, ASIMD
    if (field(4) >= 1)
        capabilities |= 1u << 3; // AES
    if (field(4) >= 2)
        capabilities |= 1u << 4; // PMULL
    if (field(8) != 0)
        capabilities |= 1u << 5; // SHA1
    if (field(12) != 0)
        capabilities |= 1u << 6; // SHA2
    if (field(16) != 0)
        capabilities |= 1u << 7; // CRC32
    if (field(20) >= 2)
        capabilities |= 1u << 8; // atomics
    return { .capabilities = capabilities,
        .capabilities2 = field(60) != 0 ? u64 { 1 } << 16 : 0, // RNG
        .minimum_signal_stack = 5120,
        .platform = "aarch64" };
}

u64 timing_jitter()
{
    u64 mixed = 0;
    for (int i = 0; i < 16; ++i)
        mixed = (mixed << 4 | mixed >> 60) ^ cycle_counter();
    return mixed;
}

bool hardware_random(u64& value)
{
    u64 features;
    asm("mrs %0, id_aa64isar0_el1" : "=r"(features));
    if (features >> 60 == 0)
        return false;
    // RNDRRS, reseeded; Z tells of failure (Arm ARM, D19.2.124).
    for (int attempt = 0; attempt < 10; ++attempt) {
        bool failed;
        asm volatile("mrs %0, s3_3_c2_c4_1; cset %w1, eq" : "=r"(value), "=r"(failed)::"cc");
        if (!failed)
            return true;
    }
    return false;
}

void synchronize_instructions(VirtualAddress start, usize length)
{
    u64 type;
    asm("mrs %0, ctr_el0" : "=r"(type));
    u64 data_line = u64 { 4 } << (type >> 16 & 15);
    u64 instruction_line = u64 { 4 } << (type & 15);
    u64 end = start.value() + length;
    for (u64 at = align_down(start.value(), data_line); at < end; at += data_line)
        asm volatile("dc cvau, %0" : : "r"(at) : "memory");
    asm volatile("dsb ish" ::: "memory");
    for (u64 at = align_down(start.value(), instruction_line); at < end; at += instruction_line)
        asm volatile("ic ivau, %0" : : "r"(at) : "memory");
    asm volatile("dsb ish; isb" ::: "memory");
}

void seal_code() { }

} // namespace eremite::arch
