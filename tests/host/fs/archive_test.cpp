// The C++ library needs errno's macros, which the kernel's headers take away: it comes first.
#include <cstdio>
#include <gtest/gtest.h>
#include <string>
#include <thread>

#include "fs/unpack.h"

#include "fs/archive.h"
#include "machine.h"

using namespace eremite;

namespace {

/// Page caches want frames.
[[maybe_unused]] const HostMachine& s_machine = host_machine();

std::string tar_header(std::string name, char kind, usize size, std::string link = {}, const char* magic = "ustar")
{
    std::string block(512, '\0');
    block.replace(0, name.size(), name);
    std::snprintf(block.data() + 100, 8, "%07o", 0644);
    std::snprintf(block.data() + 108, 8, "%07o", 0);
    std::snprintf(block.data() + 116, 8, "%07o", 0);
    std::snprintf(block.data() + 124, 12, "%011zo", size);
    std::snprintf(block.data() + 136, 12, "%011o", 1000);
    block[156] = kind;
    block.replace(157, link.size(), link);
    block.replace(257, 5, magic);
    block[263] = block[264] = '0';
    std::fill_n(block.begin() + 148, 8, ' ');
    unsigned sum = 0;
    for (unsigned char c : block)
        sum += c;
    std::snprintf(block.data() + 148, 8, "%06o", sum);
    return block;
}

std::string padded(std::string data, usize block)
{
    data.resize(align_up(data.size(), block));
    return data;
}

std::string tar_file(std::string name, std::string data)
{
    return tar_header(std::move(name), '0', data.size()) + padded(data, 512);
}

const std::string k_tar_end(1024, '\0');

std::string cpio_entry(std::string name, u32 mode, std::string data, u32 inode = 1, u32 links = 1)
{
    char header[111];
    std::snprintf(header, sizeof header, "070701%08x%08x%08x%08x%08x%08x%08zx%08x%08x%08x%08x%08zx%08x", inode, mode, 0,
        0, links, 1000, data.size(), 0, 0, 0, 0, name.size() + 1, 0);
    return padded(header + name + '\0', 4) + padded(data, 4);
}

struct Unpacked {
    RefPtr<RamFileSystem> file_system = RamFileSystem::create("test", 64_MiB).release_value();
    RefPtr<Inode> root = file_system->root().release_value();
    ~Unpacked() { file_system->unmounted(); }

    UnpackResult unpack(const std::string& archive)
    {
        auto result = unpack_archive({ reinterpret_cast<const u8*>(archive.data()), archive.size() }, *file_system,
            static_cast<RamDirectory&>(*root));
        EXPECT_FALSE(result.is_error());
        return result.release_value();
    }
    RefPtr<Inode> find(std::string_view path)
    {
        RefPtr<Inode> at = root;
        while (!path.empty()) {
            auto name = path.substr(0, path.find('/'));
            path.remove_prefix(std::min(name.size() + 1, path.size()));
            auto found = at->lookup(name);
            if (found.is_error())
                return nullptr;
            at = found.release_value().inode;
        }
        return at;
    }
    std::string contents(std::string_view path)
    {
        auto inode = find(path);
        if (!inode)
            return "absent";
        std::string text(100, '\0');
        auto count = inode->read(0, 0, IoBuffer(std::span(reinterpret_cast<u8*>(text.data()), text.size())));
        text.resize(count.is_error() ? 0 : count.value());
        return text;
    }
};

} // namespace

TEST(Archive, TarWithLongNamesAndLinks)
{
    Unpacked tree;
    const std::string deep = std::string(120, 'd') + "/file";
    const std::string record = "path=" + deep + "\n";
    const std::string pax = std::to_string(record.size() + 4) + " " + record;
    const std::string archive = tar_file("a.txt", "hello") + tar_header("dir/", '5', 0) + tar_file("dir/b", "there")
        + tar_header("link", '2', 0, "a.txt") + tar_header("hard", '1', 0, "a.txt") + tar_header("x", 'x', pax.size())
        + padded(pax, 512) + tar_file("short", "deep") + tar_header("L", 'L', 150, {}, "ustar")
        + padded(std::string(150, 'n'), 512) + tar_file("cut", "long") + k_tar_end;
    auto result = tree.unpack(archive);
    EXPECT_STREQ(result.error, nullptr);
    EXPECT_EQ(result.skipped, 0u);
    EXPECT_EQ(tree.contents("a.txt"), "hello");
    EXPECT_EQ(tree.contents("dir/b"), "there");
    EXPECT_EQ(tree.contents("hard"), "hello");
    EXPECT_EQ(tree.contents(deep), "deep");
    EXPECT_EQ(tree.contents(std::string(150, 'n')), "long");
    EXPECT_EQ(tree.find("link")->read_link().release_value().view(), "a.txt");
    EXPECT_EQ(tree.find("a.txt").get(), tree.find("hard").get());
}

TEST(Archive, NothingLeavesTheTree)
{
    Unpacked tree;
    const std::string archive = tar_file("../outside", "no") + tar_file("a/../../b", "no")
        + tar_file("/etc/passwd", "yes") + tar_header("escape", '2', 0, "/etc") + tar_file("escape/passwd", "no")
        + tar_file("fine", "yes") + k_tar_end;
    auto result = tree.unpack(archive);
    EXPECT_STREQ(result.error, nullptr);
    EXPECT_EQ(result.skipped, 3u);
    EXPECT_EQ(tree.contents("etc/passwd"), "yes");
    EXPECT_EQ(tree.contents("fine"), "yes");
    EXPECT_EQ(tree.find("outside"), nullptr);
    EXPECT_EQ(tree.find("b"), nullptr);
}

TEST(Archive, CorruptTarIsReportedAndWhatCameBeforeIsThere)
{
    Unpacked tree;
    std::string archive = tar_file("good", "1") + tar_file("bad", "2") + k_tar_end;
    archive[1024 + 3] ^= 1;
    auto result = tree.unpack(archive);
    EXPECT_STREQ(result.error, "bad header checksum");
    EXPECT_EQ(result.offset, 1024u);
    EXPECT_EQ(tree.contents("good"), "1");

    Unpacked truncated;
    const std::string cut = tar_file("f", std::string(2000, 'x')).substr(0, 700);
    EXPECT_STREQ(truncated.unpack(cut).error, "truncated in a file");
    Unpacked half_a_block;
    EXPECT_STREQ(half_a_block.unpack(tar_file("f", "x").substr(0, 700)).error, "truncated in a file");
    Unpacked other;
    EXPECT_STREQ(other.unpack("\x1f\x8b rest of it").error, "compressed by gzip: give it uncompressed");
    EXPECT_STREQ(other.unpack("this is a text file").error, "neither tar nor cpio (newc)");
}

TEST(Archive, CpioWithHardLinks)
{
    Unpacked tree;
    const std::string archive = cpio_entry(".", 0040755, "") + cpio_entry("etc", 0040755, "", 2)
        + cpio_entry("etc/one", 0100644, "", 3, 2) + cpio_entry("etc/two", 0100644, "shared", 3, 2)
        + cpio_entry("s", 0120777, "etc/one", 4) + cpio_entry("TRAILER!!!", 0, "") + std::string(200, '\0')
        + cpio_entry("more", 0100600, "second archive", 9) + cpio_entry("TRAILER!!!", 0, "");
    auto result = tree.unpack(archive);
    EXPECT_STREQ(result.error, nullptr);
    EXPECT_EQ(tree.contents("etc/one"), "shared");
    EXPECT_EQ(tree.find("etc/one").get(), tree.find("etc/two").get());
    EXPECT_EQ(tree.find("s")->read_link().release_value().view(), "etc/one");
    EXPECT_EQ(tree.contents("more"), "second archive");
    Attributes attributes;
    EXPECT_FALSE(tree.find("etc/one")->attributes(attributes).is_error());
    EXPECT_EQ(attributes.link_count, 2u);
    EXPECT_EQ(attributes.modify_time.seconds(), 1000);

    std::string bad = cpio_entry("x", 0100644, "data");
    bad[20] = '!';
    Unpacked other;
    EXPECT_STREQ(other.unpack(bad).error, "bad header");
    EXPECT_STREQ(other.unpack(cpio_entry("x", 0100644, "data").substr(0, 113)).error, "truncated in a file");
}

TEST(Archive, FilesStayInTheArchiveUntilWritten)
{
    Unpacked tree;
    const std::string archive = tar_file("f", std::string(10000, 'x')) + k_tar_end;
    tree.unpack(archive);
    auto inode = tree.find("f");
    EXPECT_EQ(tree.file_system->quota().used.load(), 0u);
    EXPECT_EQ(tree.contents("f"), std::string(100, 'x'));
    EXPECT_EQ(tree.file_system->quota().used.load(), 0u);
    u8 byte = 'y';
    EXPECT_EQ(inode->write(0, 5, IoBuffer(std::span(&byte, 1))).release_value(), 1u);
    EXPECT_EQ(tree.file_system->quota().used.load(), 3u);
    EXPECT_EQ(tree.contents("f"), std::string(5, 'x') + 'y' + std::string(94, 'x'));
    EXPECT_EQ(archive[512 + 5], 'x');
}
