// GICv3's interrupt translation service (Arm IHI 0069, chapter 5): a message, by device and event, becomes an LPI on
// some processor. Set up when the first message is bound, so that a machine without PCI devices pays nothing.
#include "arch/aarch64/early.h"
#include "arch/aarch64/gic.h"
#include "arch/aarch64/smp.h"
#include "arch/cpu.h"
#include "arch/platform.h"
#include "base/log.h"
#include "mm/device_memory.h"
#include "mm/frames.h"
#include "sync/spin_lock.h"

#include <algorithm>

namespace eremite::arch {

namespace {

constexpr usize k_gits_ctlr = 0x0000;
constexpr usize k_gits_typer = 0x0008;
constexpr usize k_gits_cbaser = 0x0080;
constexpr usize k_gits_cwriter = 0x0088;
constexpr usize k_gits_creadr = 0x0090;
constexpr usize k_gits_baser = 0x0100;
constexpr usize k_gits_translater = 0x10040;
constexpr usize k_gicr_ctlr = 0x0000;
constexpr usize k_gicr_propbaser = 0x0070;
constexpr usize k_gicr_pendbaser = 0x0078;

constexpr u64 k_valid = u64 { 1 } << 63;
constexpr u64 k_cacheable = (u64 { 7 } << 59) | (u64 { 7 } << 53) | (u64 { 1 } << 10); // write-back, inner shareable
constexpr u32 k_lpi_bits = 14; // LPIs 8192 to 16383
constexpr usize k_command_size = 32;
constexpr u32 k_event_bits = 5;
constexpr usize k_max_devices = 64;

struct Device {
    u32 id { 0 };
    u32 event_count { 0 };
};

struct MessageHandler {
    InterruptHandler function { nullptr };
    void* context { nullptr };
};

constinit InterruptSpinLock s_lock;
constinit u8* s_registers = nullptr;
constinit u64 s_physical = 0;
constinit bool s_failed = false;
constinit bool s_physical_targets = false; // collections name redistributors by address rather than by number
constinit std::span<u64> s_commands;
constinit usize s_next_command = 0; // in bytes
constinit std::span<u8> s_properties;
constinit std::array<Device, k_max_devices> s_devices {};
constinit usize s_device_count = 0;
constinit std::array<MessageHandler, k_lpi_count> s_handlers {};
constinit u32 s_next_lpi = 0;
constinit u64 s_collections = 0; // processors whose collection is mapped

void command(u64 a, u64 b, u64 c, u64 d = 0)
{
    usize word = s_next_command / 8;
    s_commands[word] = a;
    s_commands[word + 1] = b;
    s_commands[word + 2] = c;
    s_commands[word + 3] = d;
    s_next_command = (s_next_command + k_command_size) % (s_commands.size() * 8);
    asm volatile("dsb ishst" ::: "memory");
    write64(s_registers, k_gits_cwriter, s_next_command);
}

void wait_for_commands()
{
    while ((read64(s_registers, k_gits_creadr) & ~u64 { 0x1f }) != s_next_command)
        relax();
}

Result<PhysicalAddress> zeroed_frames(unsigned order)
{
    PhysicalAddress frames = TRY(allocate_frames(order));
    __builtin_memset(direct_map(frames), 0, k_page_size << order);
    return frames;
}

u64 target_of(u32 cpu)
{
    Redistributor redistributor = redistributor_of(cpu);
    return s_physical_targets ? redistributor.physical & ~u64 { 0xffff } : u64 { redistributor.processor_number } << 16;
}

Result<> enable_messages(u32 cpu)
{
    u8* registers = redistributor_of(cpu).registers;
    if (!registers)
        return Errno::EOPNOTSUPP;
    PhysicalAddress pending = TRY(zeroed_frames(4)); // aligned to 64 KiB
    write64(registers, k_gicr_propbaser,
        direct_map_to_physical(s_properties.data()).value() | (k_lpi_bits - 1) | (u64 { 7 } << 7) | (u64 { 1 } << 10));
    write64(registers, k_gicr_pendbaser, pending.value() | (u64 { 1 } << 62) | (u64 { 7 } << 7) | (u64 { 1 } << 10));
    write32(registers, k_gicr_ctlr, read32(registers, k_gicr_ctlr) | 1);
    command(0x09, 0, k_valid | target_of(cpu) | cpu); // MAPC
    command(0x05, 0, target_of(cpu)); // SYNC
    s_collections |= u64 { 1 } << cpu;
    return {};
}

Result<> set_up()
{
    DeviceTree::Node node = device_tree().known(DeviceTree::Known::TranslationService);
    if (!node)
        return Errno::EOPNOTSUPP;
    PhysicalRange range = TRY(node.reg(0));
    u8* registers = static_cast<u8*>(TRY(map_device_memory(range)));
    u64 type = read64(registers, k_gits_typer);
    s_physical_targets = (type & (u64 { 1 } << 19)) != 0;
    for (usize i = 0; i < 8; ++i) {
        usize at = k_gits_baser + i * 8;
        u64 base = read64(registers, at);
        u64 kind = base >> 56 & 7;
        if (kind != 1 && kind != 4)
            continue;
        // Devices: 16 bits of requester id, so at 8 bytes an entry 512 KiB; collections: one page.
        u64 entry_size = (base >> 48 & 31) + 1;
        u64 bytes = kind == 1 ? entry_size << std::min<u64>((type >> 13 & 31) + 1, 16) : k_page_size;
        unsigned order = 0;
        while ((k_page_size << order) < bytes)
            ++order;
        PhysicalAddress table = TRY(zeroed_frames(order));
        write64(registers, at,
            k_valid | k_cacheable | table.value() | (kind << 56) | ((bytes + k_page_size - 1) / k_page_size - 1));
    }
    PhysicalAddress commands = TRY(zeroed_frames(0));
    s_commands = { static_cast<u64*>(direct_map(commands)), k_page_size / 8 };
    write64(registers, k_gits_cbaser, k_valid | k_cacheable | commands.value());
    write64(registers, k_gits_cwriter, 0);
    PhysicalAddress properties = TRY(zeroed_frames(1));
    s_properties = { static_cast<u8*>(direct_map(properties)), 2 * k_page_size };
    write32(registers, k_gits_ctlr, 1);
    s_physical = range.start.value();
    s_registers = registers;
    return {};
}

Result<u32> add_event(u32 device_id)
{
    auto known = std::span(s_devices).first(s_device_count);
    auto device = std::ranges::find(known, device_id, &Device::id);
    if (device == known.end()) {
        if (s_device_count == k_max_devices)
            return Errno::ENOSPC;
        PhysicalAddress table = TRY(zeroed_frames(0));
        command(u64 { device_id } << 32 | 0x08, k_event_bits - 1, k_valid | table.value()); // MAPD
        s_devices[s_device_count] = { device_id, 0 };
        device = std::span(s_devices).begin() + static_cast<isize>(s_device_count++);
    }
    if (device->event_count == 1u << k_event_bits)
        return Errno::ENOSPC;
    return device->event_count++;
}

} // namespace

void run_message_handler(u32 number)
{
    u32 index = number - k_first_lpi;
    if (index < k_lpi_count && s_handlers[index].function)
        s_handlers[index].function(s_handlers[index].context);
}

Result<MsiMessage> bind_translated_message(u32 device_id, u32 cpu, InterruptHandler handler, void* context)
{
    Locked lock(s_lock);
    if (s_failed)
        return Errno::EOPNOTSUPP;
    if (!s_registers) {
        if (auto result = set_up(); result.is_error()) {
            s_failed = true;
            return result.error();
        }
    }
    if (s_next_lpi == k_lpi_count)
        return Errno::ENOSPC;
    if ((s_collections & u64 { 1 } << cpu) == 0)
        TRY(enable_messages(cpu));
    u32 event = TRY(add_event(device_id));
    u32 index = s_next_lpi++;
    u32 lpi = k_first_lpi + index;
    s_handlers[index] = { handler, context };
    s_properties[index] = 0xa1; // priority, enabled
    asm volatile("dsb ishst" ::: "memory");
    command(u64 { device_id } << 32 | 0x0a, u64 { lpi } << 32 | event, cpu); // MAPTI
    command(u64 { device_id } << 32 | 0x0c, event, 0); // INV: read the properties anew
    command(0x05, 0, target_of(cpu));
    wait_for_commands();
    return MsiMessage { s_physical + k_gits_translater, event };
}

} // namespace eremite::arch
