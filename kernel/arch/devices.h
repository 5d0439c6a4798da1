// Where the machine's description (device tree; ACPI) says that there are buses which drivers look through.
#pragma once

#include "arch/interrupt.h"
#include "base/types.h"

namespace eremite::arch {

/// A memory-mapped virtio transport; whether a device is behind it, its registers tell.
struct VirtioMmioSlot {
    PhysicalRange registers;
    u32 interrupt { 0 };
    Trigger trigger { Trigger::EdgeRising };
};
void for_each_virtio_mmio(void (*visit)(const VirtioMmioSlot& slot, void* context), void* context);

/// A PCI host bridge.
struct PciHost {
    /// Configuration space in memory (ECAM), of the buses from first_bus on; length 0: by I/O ports.
    PhysicalRange configuration;
    u8 first_bus { 0 };
    u8 last_bus { 255 };
    /// Where BARs may be placed that firmware has not placed; length 0: nowhere. Bus addresses are physical ones.
    PhysicalRange window32;
    PhysicalRange window64;
};
/// False: there is none.
bool find_pci_host(PciHost& host);

/// Configuration space by I/O ports; `address` is bus << 16 | device << 11 | function << 8 | register, a multiple of 4.
u32 read_pci_port(u32 address);
void write_pci_port(u32 address, u32 value);

} // namespace eremite::arch
