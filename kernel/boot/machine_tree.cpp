#include "boot/machine_tree.h"

#include <algorithm>

namespace eremite {

namespace {

constexpr usize k_max_reserved = 16;

/// Memory that is not ours to use, or not even to be mapped.
struct Reserved {
    struct Part {
        u64 start { 0 };
        u64 end { 0 };
        bool may_be_mapped { true };
    };
    std::array<Part, k_max_reserved> list {};
    usize count { 0 };
    bool is_full { false };

    void add(PhysicalRange range, bool may_be_mapped = true)
    {
        if (range.length == 0)
            return;
        if (count == list.size())
            is_full = true;
        else
            list[count++] = { align_down(range.start.value(), k_page_size), align_up(range.end().value(), k_page_size),
                may_be_mapped };
    }
    std::span<const Part> parts() const { return std::span(list).first(count); }
};

void add_range(u64 start, u64 end, MemoryKind kind, BootInfo& info)
{
    if (start < end && info.range_count < BootInfo::k_max_ranges)
        info.ranges[info.range_count++] = { { PhysicalAddress(start), end - start }, kind };
}

/// Adds [start, end), in ascending order, and apart from the rest what is reserved of it; reservations may be in any
/// order and overlap.
void add_memory(u64 start, u64 end, const Reserved& reserved, BootInfo& info)
{
    while (start < end) {
        Reserved::Part next { end, end };
        for (const Reserved::Part& part : reserved.parts()) {
            if (part.end > start && part.start < next.start)
                next = { std::max(part.start, start), std::min(part.end, end), part.may_be_mapped };
        }
        add_range(start, next.start, MemoryKind::Usable, info);
        add_range(next.start, next.end, next.may_be_mapped ? MemoryKind::Reserved : MemoryKind::Device, info);
        start = next.end;
    }
}

Reserved reserved_memory(const DeviceTree& tree, const BootInfo& info)
{
    Reserved reserved;
    reserved.add(info.device_tree);
    tree.for_each_reservation([&](u64 address, u64 size) {
        if (address + size > address)
            reserved.add({ PhysicalAddress(address), size });
    });
    DeviceTree::Node node = tree.known(DeviceTree::Known::ReservedMemory);
    if (!node)
        return reserved;
    usize depth = node.depth();
    for (node = node.next(); node && node.depth() > depth; node = node.next()) {
        for (usize i = 0;; ++i) {
            auto range = node.reg(i);
            if (range.is_error())
                break;
            reserved.add(range.value(), !node.property("no-map"));
        }
    }
    return reserved;
}

std::string_view read_memory(const DeviceTree& tree, u64 limit, BootInfo& info)
{
    Reserved reserved = reserved_memory(tree, info);
    if (reserved.is_full)
        return "device tree: it reserves more ranges of memory than we can keep in mind";
    bool any = false;
    for (usize number = 0; DeviceTree::Node node = tree.memory(number); ++number) {
        for (usize i = 0;; ++i) {
            auto entry = node.reg(i);
            if (entry.is_error()) {
                if (entry.error() != Errno::ENOENT)
                    return "device tree: an entry of memory is malformed, or goes around the end of the address space";
                break;
            }
            u64 start = align_up(entry.value().start.value(), k_page_size);
            u64 end = align_down(std::min(entry.value().end().value(), limit), k_page_size);
            if (start >= end)
                continue;
            // Overlapping entries would hand the same frames out twice.
            for (const MemoryRange& other : info.memory()) {
                if (start < other.range.end().value() && end > other.range.start.value())
                    return "device tree: two entries of memory overlap";
            }
            any = true;
            add_memory(start, end, reserved, info);
        }
    }
    return any ? std::string_view {} : "device tree: it lists no memory";
}

} // namespace

PhysicalRange initrd_of(const DeviceTree& tree)
{
    DeviceTree::Node chosen = tree.known(DeviceTree::Known::Chosen);
    if (!chosen)
        return {};
    auto address = [&](std::string_view name) {
        auto property = chosen.property(name);
        return property.number(0, std::min<usize>(property.cell_count(), 2));
    };
    u64 start = address("linux,initrd-start");
    u64 end = address("linux,initrd-end");
    if (start == 0 || end <= start)
        return {};
    return { PhysicalAddress(start), end - start };
}

std::string_view parse_machine_tree(const DeviceTree& tree, u64 limit, BootInfo& info)
{
    info.initrd = initrd_of(tree);
    if (DeviceTree::Node chosen = tree.known(DeviceTree::Known::Chosen)) {
        info.command_line = chosen.property("bootargs").text();
        auto seed = chosen.property("rng-seed").bytes();
        info.seed_length = static_cast<u32>(std::min(seed.size(), info.seed.size()));
        std::copy_n(seed.begin(), info.seed_length, info.seed.begin());
    }
    return read_memory(tree, limit, info);
}

} // namespace eremite
