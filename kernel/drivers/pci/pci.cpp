#include "drivers/pci/pci.h"

#include "arch/devices.h"
#include "base/log.h"
#include "mm/device_memory.h"
#include "sync/spin_lock.h"

#include <array>

namespace eremite::pci {

namespace {

constexpr u8 k_command = 0x04;
constexpr u8 k_status = 0x06;
constexpr u8 k_header_type = 0x0e;
constexpr u8 k_bar = 0x10;
constexpr u8 k_secondary_bus = 0x19;
constexpr u8 k_capabilities = 0x34;
constexpr u16 k_command_memory = 1u << 1;
constexpr u16 k_command_master = 1u << 2;
constexpr u16 k_command_no_intx = 1u << 10;
constexpr u8 k_capability_msix = 0x11;
constexpr usize k_bus_size = 1_MiB; // of configuration space

struct Host {
    bool looked { false };
    bool found { false };
    arch::PciHost description;
    std::array<Registers, 256> buses {}; // configuration space, mapped when first used
    u64 next32 { 0 };
    u64 next64 { 0 };
};
constinit Host s_host;
/// Access by ports takes two of them.
constinit InterruptSpinLock s_port_lock;

bool find_host()
{
    if (!s_host.looked) {
        s_host.looked = true;
        s_host.found = arch::find_pci_host(s_host.description);
        s_host.next32 = s_host.description.window32.start.value();
        s_host.next64 = s_host.description.window64.start.value();
    }
    return s_host.found;
}

/// Configuration space of a bus in memory; empty if it is reached by ports, or can't be mapped.
Registers bus_registers(u8 bus)
{
    const arch::PciHost& host = s_host.description;
    if (host.configuration.length == 0 || bus < host.first_bus || bus > host.last_bus)
        return {};
    Registers& registers = s_host.buses[bus];
    if (!registers) {
        u64 offset = u64 { k_bus_size } * static_cast<u64>(bus - host.first_bus);
        if (offset + k_bus_size > host.configuration.length)
            return {};
        auto mapped = map_device_memory({ host.configuration.start + offset, k_bus_size });
        if (mapped.is_error())
            return {};
        registers = Registers(mapped.value(), k_bus_size);
    }
    return registers;
}

bool by_ports()
{
    return s_host.description.configuration.length == 0;
}

/// A place of `size` bytes, a power of two, aligned to that; 0 if the window is full.
u64 place(u64& next, PhysicalRange window, u64 size)
{
    if (window.length == 0)
        return 0;
    u64 start = align_up(next, size);
    if (start < next || start + size > window.end().value() || start + size < start)
        return 0;
    next = start + size;
    return start;
}

void visit_bus(u8 bus, unsigned depth, void (*visit)(Function, void*), void* context)
{
    for (u16 device = 0; device < 32; ++device) {
        for (u16 number = 0; number < 8; ++number) {
            Function function(static_cast<u16>(bus << 8 | device << 3 | number));
            if (function.vendor() == 0xffff) {
                if (number == 0)
                    break;
                continue;
            }
            u8 header = function.read8(k_header_type);
            if ((header & 0x7f) == 1) {
                // Bridges count upwards from the root, so a loop of them ends here as well.
                u8 secondary = function.read8(k_secondary_bus);
                if (secondary > bus && depth < 8)
                    visit_bus(secondary, depth + 1, visit, context);
            } else {
                visit(function, context);
            }
            if (number == 0 && (header & 0x80) == 0)
                break;
        }
    }
}

} // namespace

u32 Function::read32(u8 offset) const
{
    if (by_ports()) {
        Locked lock(s_port_lock);
        return arch::read_pci_port(u32 { m_id } << 8 | offset);
    }
    Registers registers = bus_registers(bus());
    return registers ? registers.read32((usize { m_id & 0xffu } << 12) + offset) : ~u32 { 0 };
}

u16 Function::read16(u8 offset) const
{
    return static_cast<u16>(read32(offset & ~3) >> (offset & 2) * 8);
}

u8 Function::read8(u8 offset) const
{
    return static_cast<u8>(read32(offset & ~3) >> (offset & 3) * 8);
}

void Function::write32(u8 offset, u32 value) const
{
    if (by_ports()) {
        Locked lock(s_port_lock);
        return arch::write_pci_port(u32 { m_id } << 8 | offset, value);
    }
    if (Registers registers = bus_registers(bus()))
        registers.write32((usize { m_id & 0xffu } << 12) + offset, value);
}

void Function::write16(u8 offset, u16 value) const
{
    // Only for registers whose neighbour doesn't mind being written back: command (the status's bits are cleared by
    // ones), message control (its neighbour is read-only).
    u32 other = offset == k_command ? 0 : read32(offset & ~3) & ((offset & 2) != 0 ? 0xffffu : 0xffff0000u);
    write32(offset & ~3, other | u32 { value } << (offset & 2) * 8);
}

u8 Function::find_capability(u8 number, u8 after) const
{
    if ((read16(k_status) & 0x10) == 0)
        return 0;
    u8 at = after == 0 ? k_capabilities : static_cast<u8>(after + 1);
    // A list that bites its tail ends with the count of what fits.
    for (unsigned i = 0; i < 48; ++i) {
        at = read8(at) & 0xfc;
        if (at < 0x40)
            return 0;
        if (read8(at) == number)
            return at;
        at += 1;
    }
    return 0;
}

void Function::enable() const
{
    write16(k_command, read16(k_command) | k_command_memory | k_command_master | k_command_no_intx);
}

Result<PhysicalRange> Function::bar(u8 index) const
{
    if (index > 5)
        return Errno::ENODEV;
    u8 offset = static_cast<u8>(k_bar + index * 4);
    u32 low = read32(offset);
    if ((low & 1) != 0)
        return Errno::ENODEV; // I/O space
    bool is_64 = (low & 6) == 4;
    if (is_64 && index == 5)
        return Errno::ENODEV;
    u64 address = low & ~u32 { 15 };
    if (is_64)
        address |= u64 { read32(static_cast<u8>(offset + 4)) } << 32;

    u16 command = read16(k_command);
    write16(k_command, command & ~k_command_memory);
    write32(offset, ~u32 { 0 });
    u64 mask = read32(offset) & ~u32 { 15 };
    if (is_64) {
        write32(static_cast<u8>(offset + 4), ~u32 { 0 });
        mask |= u64 { read32(static_cast<u8>(offset + 4)) } << 32;
    } else if (mask != 0) {
        mask |= 0xffffffff00000000;
    }
    u64 size = mask == 0 ? 0 : ~mask + 1;
    bool valid = size != 0 && is_power_of_two(size);
    if (valid && address == 0) {
        arch::PciHost& host = s_host.description;
        if (is_64)
            address = place(s_host.next64, host.window64, size);
        if (address == 0)
            address = place(s_host.next32, host.window32, size);
    }
    write32(offset, static_cast<u32>(address) | (low & 15));
    if (is_64)
        write32(static_cast<u8>(offset + 4), static_cast<u32>(address >> 32));
    write16(k_command, command);
    if (!valid)
        return Errno::ENODEV;
    if (address == 0)
        return Errno::ENOSPC;
    return PhysicalRange { PhysicalAddress(address), size };
}

Result<MessageTable> MessageTable::create(Function function)
{
    u8 capability = function.find_capability(k_capability_msix);
    if (capability == 0)
        return Errno::ENODEV;
    u16 control = function.read16(static_cast<u8>(capability + 2));
    u32 place = function.read32(static_cast<u8>(capability + 4));
    MessageTable table;
    table.m_function = function;
    table.m_size = (control & 0x7ff) + 1;
    PhysicalRange bar = TRY(function.bar(place & 7));
    usize length = usize { table.m_size } * 16;
    u64 offset = place & ~7u;
    if (offset > bar.length || length > bar.length - offset)
        return Errno::EINVAL;
    table.m_table = Registers(TRY(map_device_memory({ bar.start + offset, length })), length);
    function.enable();
    for (usize i = 0; i < table.m_size; ++i)
        table.m_table.write32(i * 16 + 12, 1);
    function.write16(static_cast<u8>(capability + 2), static_cast<u16>((control & 0x3fff) | 0x8000));
    return table;
}

Result<> MessageTable::bind(u16 index, arch::InterruptHandler handler, void* context)
{
    if (index >= m_size)
        return Errno::ENOSPC;
    arch::MsiMessage message = TRY(arch::bind_message_interrupt(m_function.id(), 0, handler, context));
    usize entry = usize { index } * 16;
    m_table.write64(entry, message.address);
    m_table.write32(entry + 8, message.data);
    m_table.write32(entry + 12, 0);
    return {};
}

void for_each_function(void (*visit)(Function, void*), void* context)
{
    if (find_host())
        visit_bus(s_host.description.first_bus, 0, visit, context);
}

} // namespace eremite::pci
