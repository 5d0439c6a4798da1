#include <gtest/gtest.h>

#include "boot/machine_tree.h"
#include "support/tree_builder.h"

using namespace eremite;

namespace {

constexpr u32 k_base = 0x40000000;

TreeBuilder machine()
{
    TreeBuilder b;
    b.begin("").cells("#address-cells", { 2 }).cells("#size-cells", { 2 });
    return b;
}

TreeBuilder& memory(TreeBuilder& b, const std::vector<u32>& registers)
{
    return b.begin("memory").string("device_type", "memory").cells("reg", registers).end();
}

std::string_view read(const std::vector<u8>& blob, BootInfo& info)
{
    DeviceTree tree;
    std::string_view problem;
    EXPECT_TRUE(DeviceTree::create(blob, tree, problem)) << problem;
    return parse_machine_tree(tree, u64 { 1 } << 47, info);
}

void expect_refused(TreeBuilder& b, std::string_view with)
{
    auto blob = b.end().blob();
    BootInfo info;
    auto problem = read(blob, info);
    EXPECT_NE(problem.find(with), std::string_view::npos) << problem;
}

TEST(MachineTree, TellsMemoryCommandLineAndInitrd)
{
    auto b = machine();
    memory(b, { 0, k_base, 0, 0x8000000 });
    b.begin("chosen").string("bootargs", "a -- b").cells("rng-seed", { 1, 2, 3 });
    b.cells("linux,initrd-start", { k_base + 0x100000 })
        .cells("linux,initrd-end", { 0, k_base + 0x180000 })
        .end()
        .end();
    auto blob = b.blob();
    BootInfo info;
    info.device_tree = { PhysicalAddress(k_base + 0x4000000), 0x1234 };
    ASSERT_EQ(read(blob, info), "");
    EXPECT_EQ(info.command_line, "a -- b");
    EXPECT_EQ(info.seed_length, 12u);
    EXPECT_EQ(info.initrd.start.value(), k_base + 0x100000);
    EXPECT_EQ(info.initrd.length, 0x80000u);
    // The tree's own pages are apart, in the middle.
    ASSERT_EQ(info.range_count, 3u);
    EXPECT_EQ(info.ranges[0].range.length, 0x4000000u);
    EXPECT_EQ(info.ranges[1].kind, MemoryKind::Reserved);
    EXPECT_EQ(info.ranges[1].range.length, 0x2000u);
    EXPECT_EQ(info.ranges[2].range.end().value(), k_base + 0x8000000);
}

TEST(MachineTree, KeepsWhatIsReservedApart)
{
    auto b = machine();
    memory(b, { 0, k_base, 0, 0x1000000 });
    b.begin("reserved-memory").cells("#address-cells", { 2 }).cells("#size-cells", { 2 }).cells("ranges", {});
    b.begin("a").cells("reg", { 0, k_base + 0x300000, 0, 0x100000 }).cells("no-map", {}).end();
    b.begin("b").cells("reg", { 0, k_base + 0x200800, 0, 0x180000 }).end(); // overlaps the first
    b.begin("c").cells("reg", { 0, 0x10, 0, 0x10 }).end().end().end(); // elsewhere
    auto blob = b.blob();
    BootInfo info;
    ASSERT_EQ(read(blob, info), "");
    u64 at = k_base;
    for (const MemoryRange& range : info.memory()) {
        EXPECT_EQ(range.range.start.value(), at);
        at = range.range.end().value();
    }
    EXPECT_EQ(at, k_base + 0x1000000u);
    ASSERT_EQ(info.range_count, 4u);
    EXPECT_EQ(info.ranges[0].range.length, 0x200000u);
    EXPECT_EQ(info.ranges[1].kind, MemoryKind::Reserved);
    EXPECT_EQ(info.ranges[2].kind, MemoryKind::Device);
    EXPECT_EQ(info.ranges[3].kind, MemoryKind::Usable);
    EXPECT_EQ(info.ranges[3].range.start.value(), k_base + 0x400000u);
}

TEST(MachineTree, RefusesLiesAboutMemory)
{
    auto none = machine();
    expect_refused(none, "lists no memory");
    auto empty = machine();
    memory(empty, { 0, k_base, 0, 0 });
    expect_refused(empty, "lists no memory");
    auto overlapping = machine();
    memory(memory(overlapping, { 0, k_base, 0, 0x200000 }), { 0, k_base + 0x100000, 0, 0x200000 });
    expect_refused(overlapping, "overlap");
    auto twice = machine();
    memory(twice, { 0, k_base, 0, 0x200000, 0, k_base, 0, 0x200000 });
    expect_refused(twice, "overlap");
    auto around = machine();
    memory(around, { 0xffffffff, 0xfffff000, 0, 0x2000 });
    expect_refused(around, "malformed");
    auto many = machine();
    memory(many, { 0, k_base, 0, 0x8000000 });
    many.begin("reserved-memory").cells("#address-cells", { 2 }).cells("#size-cells", { 2 }).cells("ranges", {});
    for (u32 i = 0; i < 20; ++i)
        many.begin("r").cells("reg", { 0, k_base + i * 0x10000, 0, 0x1000 }).end();
    many.end();
    expect_refused(many, "reserves more");
}

} // namespace
