#include "arch/devices.h"

#include "arch/x86_64/acpi.h"
#include "arch/x86_64/io.h"

#include <algorithm>
#include <span>
#include <string_view>

namespace eremite::arch {

namespace {

constexpr u16 k_pci_address = 0xcf8;
constexpr u16 k_pci_data = 0xcfc;
constexpr u32 k_pci_enable = 1u << 31;

u32 read32(std::span<const u8> bytes, usize offset)
{
    u32 value = 0;
    if (offset + 4 <= bytes.size())
        std::ranges::copy(bytes.subspan(offset, 4), reinterpret_cast<u8*>(&value));
    return value;
}

} // namespace

void for_each_virtio_mmio(void (*visit)(const VirtioMmioSlot&, void*), void* context)
{
    // QEMU's microvm describes its transports in the DSDT, in AML. We don't interpret that: what follows each hardware
    // id LNRO0005 are two resource descriptors of fixed form (ACPI 6.5, 6.4.3.4 and 6.4.3.6), fixed memory and
    // interrupt.
    std::span<const u8> table = acpi_table("DSDT");
    constexpr std::string_view id = "LNRO0005";
    constexpr usize k_reach = 128; // a device's description is no longer
    for (usize at = 0; at + id.size() < table.size(); ++at) {
        if (!std::ranges::equal(table.subspan(at, id.size()), id, {}, {}, [](char c) { return static_cast<u8>(c); }))
            continue;
        std::span<const u8> rest = table.subspan(at + id.size());
        rest = rest.first(std::min(rest.size(), k_reach));
        VirtioMmioSlot slot;
        for (usize i = 0; i + 12 <= rest.size(); ++i) {
            if (slot.registers.length == 0 && rest[i] == 0x86 && rest[i + 1] == 9 && rest[i + 2] == 0) {
                slot.registers = { PhysicalAddress(read32(rest, i + 4)), read32(rest, i + 8) };
            } else if (slot.registers.length != 0 && rest[i] == 0x89 && rest[i + 1] == 6 && rest[i + 2] == 0) {
                slot.trigger = (rest[i + 3] & 2) != 0 ? Trigger::EdgeRising : Trigger::LevelHigh;
                slot.interrupt = read32(rest, i + 5);
                visit(slot, context);
                break;
            }
        }
    }
}

bool find_pci_host(PciHost& host)
{
    // The address register keeps what is written to it, where there is one.
    out32(k_pci_address, k_pci_enable);
    if (in32(k_pci_address) != k_pci_enable || read_pci_port(0) == ~u32 { 0 })
        return false;
    host = {};
    return true;
}

u32 read_pci_port(u32 address)
{
    out32(k_pci_address, k_pci_enable | address);
    return in32(k_pci_data);
}

void write_pci_port(u32 address, u32 value)
{
    out32(k_pci_address, k_pci_enable | address);
    out32(k_pci_data, value);
}

} // namespace eremite::arch
