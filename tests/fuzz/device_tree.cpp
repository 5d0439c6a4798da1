// A device tree of any bytes: it is refused, or everything that the kernel asks of it stays within.
#include "device/device_tree.h"

#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, size_t size)
{
    using namespace eremite;
    DeviceTree tree;
    std::string_view problem;
    if (!DeviceTree::create({ data, size }, tree, problem))
        return problem.empty() ? __builtin_trap(), 0 : 0;
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
