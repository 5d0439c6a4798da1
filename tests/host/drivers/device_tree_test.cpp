#include <gtest/gtest.h>

#include "device/device_tree.h"
#include "support/tree_builder.h"

#include <string>
#include <vector>

using namespace eremite;

namespace {

std::vector<u8> machine()
{
    TreeBuilder b;
    b.begin("").cells("#address-cells", { 2 }).cells("#size-cells", { 2 }).cells("interrupt-parent", { 1 });
    b.begin("memory@40000000").string("device_type", "memory").cells("reg", { 0, 0x40000000, 0, 0x8000000 }).end();
    b.begin("intc@8000000").cells("phandle", { 1 }).cells("interrupt-controller", {}).cells("#interrupt-cells", { 3 });
    b.string("compatible", "arm,cortex-a15-gic").end();
    b.begin("soc")
        .cells("#address-cells", { 1 })
        .cells("#size-cells", { 1 })
        .cells("ranges", { 0, 0, 0x9000000, 0x100000 });
    b.begin("uart@1000").cells("reg", { 0x1000, 0x100 }).cells("interrupts", { 0, 1, 4 }).end();
    b.end();
    b.begin("chosen").string("bootargs", "a=b -- c").end();
    b.end();
    return b.blob();
}

DeviceTree parse(const std::vector<u8>& blob)
{
    DeviceTree tree;
    std::string_view problem;
    EXPECT_TRUE(DeviceTree::create(blob, tree, problem)) << problem;
    return tree;
}

void expect_refused(const std::vector<u8>& blob, std::string_view with)
{
    DeviceTree tree;
    std::string_view problem;
    EXPECT_FALSE(DeviceTree::create(blob, tree, problem));
    EXPECT_NE(problem.find(with), std::string_view::npos) << problem;
}

TEST(DeviceTree, FindsAndTranslates)
{
    auto blob = machine();
    DeviceTree tree = parse(blob);
    EXPECT_EQ(tree.find_path("/chosen").property("bootargs").text(), "a=b -- c");
    auto memory = tree.find_path("/memory").reg(0);
    ASSERT_TRUE(memory.has_value());
    EXPECT_EQ(memory.value().start.value(), 0x40000000u);
    auto uart = tree.find_path("/soc/uart@1000");
    ASSERT_TRUE(uart);
    EXPECT_EQ(uart.reg(0).value().start.value(), 0x9001000u);
    EXPECT_EQ(uart.reg(1).error(), Errno::ENOENT);
    EXPECT_EQ(uart.interrupt(0).value().number, 33u);
    EXPECT_FALSE(uart.interrupt(0).value().edge);
    EXPECT_TRUE(tree.find_compatible("arm,cortex-a15-gic"));
    EXPECT_FALSE(tree.find_compatible("arm,cortex"));
}

TEST(DeviceTree, KnowsWhereTheKernelsNodesAre)
{
    auto blob = machine();
    DeviceTree tree = parse(blob);
    EXPECT_EQ(tree.known(DeviceTree::Known::Chosen).property("bootargs").text(), "a=b -- c");
    EXPECT_EQ(tree.known(DeviceTree::Known::Gic2).name(), "intc@8000000");
    EXPECT_FALSE(tree.known(DeviceTree::Known::Gic3));
    EXPECT_EQ(tree.memory(0).name(), "memory@40000000");
    EXPECT_FALSE(tree.memory(1));
    EXPECT_FALSE(DeviceTree::Node().property("status"));

    // Moved, as the boot does when the memory map changes: nothing refers to the old place.
    std::vector<u8> elsewhere(blob.begin(), blob.begin() + static_cast<isize>(tree.size()));
    tree.move_to(elsewhere);
    std::ranges::fill(blob, 0xff);
    EXPECT_EQ(tree.known(DeviceTree::Known::Chosen).property("bootargs").text(), "a=b -- c");
    EXPECT_TRUE(tree.find_path("/soc/uart@1000").is_at("/soc/uart"));
    EXPECT_FALSE(tree.find_path("/soc/uart@1000").is_at("/soc"));
    EXPECT_FALSE(tree.find_path("/soc").is_at("/soc/uart"));
}

TEST(DeviceTree, PassesOverWhatIsDisabled)
{
    TreeBuilder b;
    b.begin("");
    b.begin("uart@1").string("status", "disabled").string("compatible", "arm,pl011").end();
    b.begin("uart@2").string("compatible", std::string("vendor,uart\0arm,pl011", 21)).string("status", "okay").end();
    b.begin("uart@3").string("compatible", "arm,pl011").end().end();
    auto blob = b.blob();
    EXPECT_EQ(parse(blob).known(DeviceTree::Known::Uart).name(), "uart@2");
}

TEST(DeviceTree, RefusesEveryTruncation)
{
    auto blob = machine();
    for (usize length = 0; length < blob.size(); ++length) {
        DeviceTree tree;
        std::string_view problem;
        // A copy of its own, so that the sanitizer sees the first byte beyond.
        std::vector<u8> cut(blob.begin(), blob.begin() + static_cast<isize>(length));
        EXPECT_FALSE(DeviceTree::create(cut, tree, problem)) << length;
        EXPECT_FALSE(problem.empty());
    }
}

TEST(DeviceTree, SaysWhatIsWrong)
{
    expect_refused({ 1, 2, 3 }, "there is none");
    auto shifted = machine();
    shifted.insert(shifted.begin(), 8, 0);
    DeviceTree tree;
    std::string_view problem;
    EXPECT_FALSE(DeviceTree::create(std::span<const u8>(shifted).subspan(4), tree, problem));
    EXPECT_NE(problem.find("multiple of 8"), std::string_view::npos);
    expect_refused(TreeBuilder().begin("").begin("a").end().blob(), "ends within a node");
    expect_refused(TreeBuilder().begin("").end().end().blob(), "never began");
    expect_refused(TreeBuilder().begin("").end().blob(false), "cut off");
    TreeBuilder deep;
    for (int i = 0; i < 20; ++i)
        deep.begin("n");
    expect_refused(deep.blob(), "too deeply");
}

TEST(DeviceTree, EndsWhereControllersReferToOneAnother)
{
    TreeBuilder b;
    b.begin("").cells("interrupt-parent", { 1 });
    b.begin("a").cells("phandle", { 1 }).cells("interrupt-parent", { 2 }).end();
    b.begin("b").cells("phandle", { 2 }).cells("interrupt-parent", { 1 }).end();
    b.begin("device").cells("interrupts", { 0, 1, 4 }).end().end();
    auto blob = b.blob();
    EXPECT_EQ(parse(blob).find_path("/device").interrupt(0).error(), Errno::ELOOP);
}

TEST(DeviceTree, RefusesRangesThatWrap)
{
    TreeBuilder b;
    b.begin("").cells("#address-cells", { 2 }).cells("#size-cells", { 2 });
    b.begin("memory").cells("reg", { 0xffffffff, 0xfffff000, 0, 0x2000 }).end().end();
    auto blob = b.blob();
    EXPECT_EQ(parse(blob).find_path("/memory").reg(0).error(), Errno::EINVAL);
}

} // namespace
