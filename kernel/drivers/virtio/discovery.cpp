// Finds all virtio devices, when the first driver asks: on PCI, behind the memory-mapped transports that the machine's
// description lists, and behind those that the command line names (virtio_mmio.device=SIZE@ADDRESS:INTERRUPT, as Linux
// has it; QEMU's microvm and Firecracker append it).
#include "base/log.h"
#include "boot/options.h"
#include "drivers/pci/pci.h"
#include "drivers/virtio/mmio_transport.h"
#include "drivers/virtio/pci_transport.h"
#include "drivers/virtio/slot_option.h"

#include <array>

namespace eremite::virtio {

namespace {

constexpr usize k_max_devices = 64;

struct Found {
    Transport* transport { nullptr };
    bool taken { false };
};
constinit std::array<Found, k_max_devices> s_found {};
constinit usize s_count = 0;
constinit bool s_looked = false;

void add(Result<OwnPtr<Transport>> transport)
{
    if (transport.is_error()) {
        if (transport.error() != Errno::ENODEV && transport.error() != Errno::EPROTO)
            log_warning("virtio: a device is left out: {}", transport.error());
        return;
    }
    if (s_count == k_max_devices) {
        log_warning("virtio: there are more than {} devices: the others are left out", k_max_devices);
        return;
    }
    Transport* pointer = transport.release_value().leak();
    log_info("virtio: device type {} at {}", static_cast<u32>(pointer->type()), pointer->location());
    s_found[s_count++].transport = pointer;
}

/// QEMU fills its row of transports from the last one on: the first device of its command line is behind the last.
void add_listed_slots()
{
    struct Slots {
        std::array<arch::VirtioMmioSlot, k_max_devices> list {};
        usize count { 0 };
    } slots;
    arch::for_each_virtio_mmio(
        [](const arch::VirtioMmioSlot& slot, void* context) {
            auto& all = *static_cast<Slots*>(context);
            if (all.count < all.list.size())
                all.list[all.count++] = slot;
        },
        &slots);
    while (slots.count > 0)
        add(MmioTransport::create(slots.list[--slots.count]));
}

void look()
{
    pci::for_each_function([](pci::Function function, void*) { add(PciTransport::create(function)); }, nullptr);
    add_listed_slots();
    for_each_boot_option("virtio_mmio.device", [](std::string_view text) {
        if (auto slot = parse_slot_option(text); slot.has_value())
            add(MmioTransport::create(slot.value()));
        else
            log_warning("virtio_mmio.device={}: it must be SIZE@ADDRESS:INTERRUPT", text);
    });
}

} // namespace

Transport* take_device(DeviceType type)
{
    if (!s_looked) {
        s_looked = true;
        look();
    }
    for (Found& found : std::span(s_found).first(s_count)) {
        if (!found.taken && found.transport->type() == type) {
            found.taken = true;
            return found.transport;
        }
    }
    return nullptr;
}

} // namespace eremite::virtio
