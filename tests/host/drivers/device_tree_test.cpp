#include <gtest/gtest.h>

#include "device/device_tree.h"

#include <string>
#include <vector>

using namespace eremite;

namespace {

/// Writes a flattened tree (Devicetree Specification 0.4, chapter 5).
class Builder {
public:
    Builder& begin(const char* name)
    {
        word(1);
        text(name);
        return *this;
    }
    Builder& end()
    {
        word(2);
        return *this;
    }
    Builder& cells(const char* name, const std::vector<u32>& values)
    {
        word(3);
        word(static_cast<u32>(values.size() * 4));
        word(intern(name));
        for (u32 value : values)
            word(value);
        return *this;
    }
    Builder& string(const char* name, const std::string& value)
    {
        word(3);
        word(static_cast<u32>(value.size() + 1));
        word(intern(name));
        text(value.c_str());
        return *this;
    }
    std::vector<u8> blob(bool with_end = true)
    {
        if (with_end)
            word(9);
        std::vector<u8> structure = std::move(m_structure);
        u32 structure_at = 56;
        u32 strings_at = structure_at + static_cast<u32>(structure.size());
        u32 total = strings_at + static_cast<u32>(m_strings.size());
        m_structure.clear();
        for (u32 value : { DeviceTree::k_magic, total, structure_at, strings_at, 40u, 17u, 16u, 0u,
                 static_cast<u32>(m_strings.size()), static_cast<u32>(structure.size()), 0u, 0u, 0u, 0u })
            word(value);
        m_structure.insert(m_structure.end(), structure.begin(), structure.end());
        m_structure.insert(m_structure.end(), m_strings.begin(), m_strings.end());
        return m_structure;
    }

private:
    void word(u32 value)
    {
        for (int shift : { 24, 16, 8, 0 })
            m_structure.push_back(static_cast<u8>(value >> shift));
    }
    void text(const char* value)
    {
        for (const char* c = value;; ++c) {
            m_structure.push_back(static_cast<u8>(*c));
            if (*c == 0)
                break;
        }
        while (m_structure.size() % 4 != 0)
            m_structure.push_back(0);
    }
    u32 intern(const std::string& name)
    {
        u32 at = static_cast<u32>(m_strings.size());
        m_strings += name;
        m_strings += '\0';
        return at;
    }
    std::vector<u8> m_structure;
    std::string m_strings;
};

std::vector<u8> machine()
{
    Builder b;
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
    expect_refused(Builder().begin("").begin("a").end().blob(), "ends within a node");
    expect_refused(Builder().begin("").end().end().blob(), "never began");
    expect_refused(Builder().begin("").end().blob(false), "cut off");
    Builder deep;
    for (int i = 0; i < 20; ++i)
        deep.begin("n");
    expect_refused(deep.blob(), "too deeply");
}

TEST(DeviceTree, EndsWhereControllersReferToOneAnother)
{
    Builder b;
    b.begin("").cells("interrupt-parent", { 1 });
    b.begin("a").cells("phandle", { 1 }).cells("interrupt-parent", { 2 }).end();
    b.begin("b").cells("phandle", { 2 }).cells("interrupt-parent", { 1 }).end();
    b.begin("device").cells("interrupts", { 0, 1, 4 }).end().end();
    auto blob = b.blob();
    EXPECT_EQ(parse(blob).find_path("/device").interrupt(0).error(), Errno::ELOOP);
}

TEST(DeviceTree, RefusesRangesThatWrap)
{
    Builder b;
    b.begin("").cells("#address-cells", { 2 }).cells("#size-cells", { 2 });
    b.begin("memory").cells("reg", { 0xffffffff, 0xfffff000, 0, 0x2000 }).end().end();
    auto blob = b.blob();
    EXPECT_EQ(parse(blob).find_path("/memory").reg(0).error(), Errno::EINVAL);
}

} // namespace
