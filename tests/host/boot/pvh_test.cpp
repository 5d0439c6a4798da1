#include "boot/pvh.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

using namespace eremite;

namespace {

/// Physical memory from 4096 on, with a start information that a test can spoil.
class Memory {
public:
    static constexpr u64 k_base = 4096;
    static constexpr u64 k_start_info = 4096;
    static constexpr u64 k_map = 8192;
    static constexpr u64 k_command_line = 12288;
    static constexpr u64 k_modules = 16384;

    struct {
        u32 magic { 0x336ec578 }, version { 1 }, flags { 0 }, module_count { 0 };
        u64 module_list { k_modules }, command_line { k_command_line }, rsdp { 0xe0000 };
        u64 memory_map { k_map };
        u32 entries { 0 }, reserved { 0 };
    } start;

    void add(u64 address, u64 size, u32 type)
    {
        struct {
            u64 address, size;
            u32 type, reserved;
        } entry { address, size, type, 0 };
        std::memcpy(&m_bytes[k_map - k_base + start.entries++ * sizeof(entry)], &entry, sizeof(entry));
    }
    void set_command_line(const char* text)
    {
        std::strcpy(reinterpret_cast<char*>(&m_bytes[k_command_line - k_base]), text);
    }
    void set_module(u64 address, u64 size)
    {
        u64 module[4] { address, size, 0, 0 };
        std::memcpy(&m_bytes[k_modules - k_base], module, sizeof(module));
        start.module_count = 1;
    }
    std::string_view parse(BootInfo& info)
    {
        std::memcpy(m_bytes.data(), &start, sizeof(start));
        return parse_pvh({ k_base, m_bytes }, k_start_info, info);
    }

private:
    std::vector<u8> m_bytes = std::vector<u8>(16 * 4096);
};

} // namespace

TEST(Pvh, ReadsAWholeStartInformation)
{
    Memory memory;
    memory.add(0, 0x9fc00, 1);
    memory.add(0x100000, 63_MiB, 1);
    memory.add(0xfffc0000, 0x40000, 2);
    memory.set_command_line("a -- b");
    memory.set_module(0x3f00000, 1000);
    BootInfo info;
    EXPECT_EQ(memory.parse(info), "");
    EXPECT_EQ(info.range_count, 3u);
    EXPECT_EQ(info.ranges[1].range.end().value(), 64_MiB);
    EXPECT_EQ(info.ranges[2].kind, MemoryKind::Reserved);
    EXPECT_EQ(info.command_line, "a -- b");
    EXPECT_EQ(info.initrd.length, 1000u);
    EXPECT_EQ(info.rsdp.value(), 0xe0000u);
}

TEST(Pvh, NamesWhatIsMissing)
{
    BootInfo info;
    Memory no_map;
    EXPECT_NE(no_map.parse(info).find("no memory map"), std::string_view::npos);
    Memory version0;
    version0.add(0, 1_MiB, 1);
    version0.start.version = 0;
    EXPECT_NE(version0.parse(info).find("no memory map"), std::string_view::npos);
    Memory none_usable;
    none_usable.add(0, 1_MiB, 2);
    EXPECT_NE(none_usable.parse(info).find("no memory:"), std::string_view::npos);
    Memory magic;
    magic.start.magic = 1;
    EXPECT_NE(magic.parse(info).find("magic"), std::string_view::npos);
}

TEST(Pvh, FollowsNoPointerOutOfMemory)
{
    for (u64 bad : { u64 { 1 }, u64 { 1 } << 40, ~u64 { 0 }, ~u64 { 7 } }) {
        BootInfo info;
        Memory map;
        map.add(0, 1_MiB, 1);
        map.start.memory_map = bad;
        EXPECT_NE(map.parse(info), "");
        Memory text;
        text.add(0, 1_MiB, 1);
        text.start.command_line = bad;
        EXPECT_NE(text.parse(info), "");
        Memory modules;
        modules.add(0, 1_MiB, 1);
        modules.start.module_count = 1;
        modules.start.module_list = bad;
        EXPECT_NE(modules.parse(info), "");
    }
}

TEST(Pvh, DropsRangesThatWrap)
{
    Memory memory;
    memory.add(0, 1_MiB, 1);
    memory.add(~u64 { 0 } - 4096, 8192, 1);
    memory.add(5, 0, 1);
    BootInfo info;
    EXPECT_EQ(memory.parse(info), "");
    EXPECT_EQ(info.range_count, 1u);
}

TEST(Pvh, RefusesToForgetAReservation)
{
    Memory memory;
    for (u32 i = 0; i < BootInfo::k_max_ranges; ++i)
        memory.add(i * 4096, 4096, 1);
    BootInfo info;
    EXPECT_EQ(memory.parse(info), "");
    memory.add(0x100000, 4096, 1); // memory too many is only unused
    EXPECT_EQ(memory.parse(info), "");
    memory.add(0x200000, 4096, 2);
    EXPECT_NE(memory.parse(info), "");
}
