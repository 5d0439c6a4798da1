#include "arch/devices.h"

#include "arch/aarch64/early.h"
#include "base/assert.h"

namespace eremite::arch {

void for_each_virtio_mmio(void (*visit)(const VirtioMmioSlot&, void*), void* context)
{
    for (DeviceTree::Node node = device_tree().known(DeviceTree::Known::VirtioMmio); node; node = node.next()) {
        if (!node.is_compatible("virtio,mmio") || !node.is_enabled())
            continue;
        auto registers = node.reg(0);
        auto interrupt = node.interrupt(0);
        if (registers.is_error() || interrupt.is_error())
            continue;
        visit({ registers.value(), interrupt.value().number,
                  interrupt.value().edge ? Trigger::EdgeRising : Trigger::LevelHigh },
            context);
    }
}

bool find_pci_host(PciHost& host)
{
    DeviceTree::Node node = device_tree().known(DeviceTree::Known::PciHost);
    if (!node)
        return false;
    auto registers = node.reg(0);
    if (registers.is_error())
        return false;
    host = {};
    host.configuration = registers.value();
    if (auto buses = node.property("bus-range")) {
        host.first_bus = static_cast<u8>(buses.cell(0));
        host.last_bus = static_cast<u8>(buses.cell(1));
    }
    // PCI bus binding (IEEE 1275): three cells of PCI address, the first with the kind of space; two each of the
    // parent's address and the size.
    auto ranges = node.property("ranges");
    for (usize at = 0; at + 7 <= ranges.cell_count(); at += 7) {
        u32 kind = ranges.cell(at) >> 24 & 3;
        u64 bus_address = ranges.number(at + 1, 2);
        PhysicalRange range { PhysicalAddress(ranges.number(at + 3, 2)), ranges.number(at + 5, 2) };
        if (bus_address != range.start.value() || range.start.value() + range.length < range.length)
            continue;
        if (kind == 2)
            host.window32 = range;
        else if (kind == 3)
            host.window64 = range;
    }
    return true;
}

u32 read_pci_port(u32)
{
    ASSERT_NOT_REACHED();
}

void write_pci_port(u32, u32)
{
    ASSERT_NOT_REACHED();
}

} // namespace eremite::arch
