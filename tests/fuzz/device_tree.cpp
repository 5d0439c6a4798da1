// A device tree of any bytes: it is refused, or everything that the kernel asks of it stays within, and the memory that
// it lists is in ranges that don't overlap.
#include "device/device_tree.h"
#include "boot/machine_tree.h"

#include <cstdlib>
#include <memory>

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, size_t size)
{
    using namespace eremite;
    // Aligned, as create() asks for, and of its own, so that the sanitizer sees the first byte beyond.
    std::unique_ptr<u8, decltype(&std::free)> copy(static_cast<u8*>(std::malloc(size)), std::free);
    if (size != 0)
        __builtin_memcpy(copy.get(), data, size);
    DeviceTree tree;
    std::string_view problem;
    if (!DeviceTree::create({ copy.get(), size }, tree, problem))
        return problem.empty() ? __builtin_trap(), 0 : 0;
    BootInfo info;
    info.device_tree = { PhysicalAddress(0x4400'0000), tree.size() };
    if (parse_machine_tree(tree, u64 { 1 } << 47, info).empty()) {
        for (const MemoryRange& one : info.memory()) {
            for (const MemoryRange& other : info.memory()) {
                bool apart = one.range.end() <= other.range.start || other.range.end() <= one.range.start;
                if (&one != &other && !apart)
                    __builtin_trap();
            }
        }
    }
    for (usize i = 0; i < static_cast<usize>(DeviceTree::Known::None); ++i) {
        DeviceTree::Node node = tree.known(static_cast<DeviceTree::Known>(i));
        static_cast<void>(node.interrupt(2).is_error());
        static_cast<void>(node ? node.is_at("/chosen") : false);
    }
    unsigned left = 200; // each asks for walks of the whole tree
    tree.for_each([&](const DeviceTree::Node& node) {
        if (left == 0)
            return;
        --left;
        static_cast<void>(node.name());
        static_cast<void>(node.is_enabled());
        static_cast<void>(node.is_compatible("arm,pl011"));
        for (usize i = 0; i < 2; ++i) {
            static_cast<void>(node.reg(i).is_error());
            static_cast<void>(node.interrupt(i).is_error());
        }
        static_cast<void>(node.property("ranges").number(0, 2));
    });
    tree.for_each_reservation([](u64, u64) { });
    static_cast<void>(tree.find_path("/soc/serial"));
    static_cast<void>(tree.find_phandle(1));
    return 0;
}
