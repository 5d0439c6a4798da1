// The calls on paths over a file system in memory: walk, cache, rename, locks.
// The C++ library needs errno's macros, which the kernel's headers take away: it comes first.
#include <cstdio>
#include <gtest/gtest.h>
#include <string>
#include <thread>

#include "file/file.h"
#include "fs/mount.h"
#include "fs/open_file.h"
#include "fs/operations.h"
#include "fs/ramfs.h"
#include "machine.h"

namespace eremite {

namespace {

/// Page caches want frames.
[[maybe_unused]] const HostMachine& s_machine = host_machine();

class TreeTest : public testing::Test {
protected:
    void SetUp() override
    {
        // One root for the whole run, as in a kernel; each test has a directory of its own.
        if (!fs_context().root()) {
            auto root
                = Mounts::mount_root(RamFileSystem::create("rootfs", 64_MiB).release_value(), "rootfs").release_value();
            fs_context().set_root(root);
            fs_context().set_current(root);
        }
        static int s_number = 0;
        auto place = make_directories("/test" + std::to_string(++s_number)).release_value();
        fs_context().set_current(place);
    }

    static Result<RefPtr<File>> open(std::string_view path, u64 flags = 0, u64 resolve_flags = 0)
    {
        return open_path(abi::k_at_fdcwd, path, flags, 0644, resolve_flags);
    }
    static Errno error_of(auto&& result) { return result.is_error() ? result.error() : Errno {}; }
    static void write(std::string_view path, std::string text)
    {
        auto file = open(path, abi::k_o_creat | abi::k_o_rdwr | abi::k_o_trunc).release_value();
        EXPECT_EQ(file->write(IoBuffer(std::span(reinterpret_cast<u8*>(text.data()), text.size()))).release_value(),
            text.size());
    }
    static std::string read(std::string_view path)
    {
        auto file = open(path);
        if (file.is_error())
            return name_of(file.error());
        std::string text(100, '\0');
        text.resize(
            file.value()->read(IoBuffer(std::span(reinterpret_cast<u8*>(text.data()), text.size()))).release_value());
        return text;
    }
    static void directory(std::string_view path)
    {
        ASSERT_FALSE(make_node(abi::k_at_fdcwd, path, abi::k_s_ifdir | 0755, 0).is_error());
    }
    static Errno rename(std::string_view from, std::string_view to, u32 flags = 0)
    {
        return error_of(rename_path(abi::k_at_fdcwd, from, abi::k_at_fdcwd, to, flags));
    }
};

} // namespace

TEST_F(TreeTest, WalksAndFindsInTheCache)
{
    directory("a");
    directory("a/b");
    write("a/b/c", "text");
    auto current = fs_context().current();
    EXPECT_TRUE(DentryCache::walk(*current, "a/b/c", true));
    EXPECT_TRUE(DentryCache::walk(*current, "./a//b/./c", true));
    EXPECT_FALSE(DentryCache::walk(*current, "a/b/c/", true));
    EXPECT_FALSE(DentryCache::walk(*current, "a/b/d", true));
    EXPECT_EQ(read("a/../a/b/c"), "text");
    EXPECT_EQ(read("a/b/c/d"), "ENOTDIR");
    EXPECT_EQ(read("../../../../etc"), "ENOENT");
    EXPECT_FALSE(remove_path(abi::k_at_fdcwd, "a/b/c", false).is_error());
    EXPECT_FALSE(DentryCache::walk(*current, "a/b/c", true));
}

TEST_F(TreeTest, LongNamesWorkThroughTheSlowWay)
{
    const std::string name(200, 'n');
    write(name, "long");
    EXPECT_EQ(read(name), "long");
    EXPECT_EQ(rename(name, "short"), Errno {});
    EXPECT_EQ(rename("short", name), Errno {});
    EXPECT_EQ(read(name), "long");
    EXPECT_EQ(read(std::string(256, 'n')), "ENAMETOOLONG");
}

TEST_F(TreeTest, RenameMovesNamesInTheCache)
{
    directory("a");
    directory("b");
    write("a/f", "1");
    write("b/f", "2");
    auto opened = open("a/f").release_value();
    EXPECT_EQ(rename("a/f", "b/g"), Errno {});
    EXPECT_EQ(opened->description().release_value().view().substr(6), "/b/g");
    EXPECT_EQ(read("b/g"), "1");
    EXPECT_EQ(read("a/f"), "ENOENT");
    EXPECT_EQ(rename("b/g", "b/f"), Errno {});
    EXPECT_EQ(read("b/f"), "1");
    write("x", "x");
    EXPECT_EQ(rename("x", "b/f", abi::k_rename_exchange), Errno {});
    EXPECT_EQ(read("x"), "1");
    EXPECT_EQ(read("b/f"), "x");
    EXPECT_EQ(rename("a", "a/inside"), Errno::EINVAL);
    EXPECT_EQ(rename("b", "a"), Errno {});
    EXPECT_EQ(read("a/f"), "x");
    EXPECT_FALSE(remove_path(abi::k_at_fdcwd, "a/f", false).is_error());
    EXPECT_FALSE(remove_path(abi::k_at_fdcwd, "a", true).is_error());
}

TEST_F(TreeTest, ResolveFlagsConfine)
{
    directory("in");
    write("in/f", "f");
    write("out", "o");
    EXPECT_FALSE(make_symlink("../out", abi::k_at_fdcwd, "in/up").is_error());
    EXPECT_FALSE(make_symlink("/f", abi::k_at_fdcwd, "in/absolute").is_error());
    fs_context().set_current(resolve(abi::k_at_fdcwd, "in", true).release_value());
    EXPECT_EQ(error_of(open("up", 0, abi::k_resolve_beneath)), Errno::EXDEV);
    EXPECT_EQ(error_of(open("absolute", 0, abi::k_resolve_beneath)), Errno::EXDEV);
    EXPECT_EQ(error_of(open("absolute", 0, abi::k_resolve_in_root)), Errno {});
    EXPECT_EQ(error_of(open("up", 0, abi::k_resolve_in_root)), Errno::ENOENT);
    EXPECT_EQ(error_of(open("up", 0, abi::k_resolve_no_symlinks)), Errno::ELOOP);
    EXPECT_EQ(read("up"), "o");
}

TEST_F(TreeTest, MountsCoverAndUncover)
{
    directory("m");
    write("m/below", "1");
    auto point = resolve(abi::k_at_fdcwd, "m", true).release_value();
    EXPECT_FALSE(Mounts::mount(RamFileSystem::create("tmpfs", 8_KiB).release_value(), *point, "none").is_error());
    EXPECT_EQ(read("m/below"), "ENOENT");
    write("m/above", "2");
    EXPECT_EQ(rename("m/above", "elsewhere"), Errno::EXDEV);
    EXPECT_EQ(read("m/../m/above"), "2");
    EXPECT_EQ(error_of(remove_path(abi::k_at_fdcwd, "m", true)), Errno::EBUSY);
    {
        auto file = open("m/above", abi::k_o_rdwr).release_value();
        std::string much(20000, 'x');
        EXPECT_EQ(
            file->write(IoBuffer(std::span(reinterpret_cast<u8*>(much.data()), much.size()))).release_value(), 8192u);
        EXPECT_EQ(error_of(file->write(IoBuffer(std::span(reinterpret_cast<u8*>(much.data()), 1)))), Errno::ENOSPC);
        auto root = resolve(abi::k_at_fdcwd, "m", true).release_value();
        EXPECT_EQ(error_of(Mounts::unmount(*root, false)), Errno::EBUSY);
    }
    auto root = resolve(abi::k_at_fdcwd, "m", true).release_value();
    EXPECT_FALSE(Mounts::unmount(*root, false).is_error());
    EXPECT_EQ(read("m/below"), "1");
}

TEST_F(TreeTest, ManyNamesOutgrowTheCache)
{
    const usize before = DentryCache::count();
    directory("many");
    for (int i = 0; i < 12000; ++i)
        write("many/" + std::to_string(i), "x");
    EXPECT_LT(DentryCache::count(), 9000u + before);
    for (int i = 0; i < 12000; i += 500)
        EXPECT_EQ(read("many/" + std::to_string(i)), "x");
    for (int i = 0; i < 12000; ++i)
        ASSERT_FALSE(remove_path(abi::k_at_fdcwd, "many/" + std::to_string(i), false).is_error());
    EXPECT_FALSE(remove_path(abi::k_at_fdcwd, "many", true).is_error());
}

TEST_F(TreeTest, ReadersAndRenamersInParallel)
{
    directory("p");
    write("p/a", "a");
    auto current = fs_context().current();
    std::atomic<bool> stop { false };
    std::thread reader([&] {
        while (!stop) {
            auto found = DentryCache::walk(*current, "p/a", true);
            if (found)
                EXPECT_TRUE(found->inode().is_regular());
        }
    });
    for (int i = 0; i < 2000; ++i) {
        EXPECT_EQ(rename("p/a", "p/b"), Errno {});
        EXPECT_EQ(rename("p/b", "p/a"), Errno {});
        write("p/c", "c");
        EXPECT_FALSE(remove_path(abi::k_at_fdcwd, "p/c", false).is_error());
    }
    stop = true;
    reader.join();
}

TEST_F(TreeTest, RecordLocksSplitAndMerge)
{
    auto first = open("l", abi::k_o_creat | abi::k_o_rdwr).release_value();
    auto second = open("l", abi::k_o_rdwr).release_value();
    const auto lock = [](File& file, i16 type, i64 start, i64 length) {
        abi::FileLock request { .type = type, .start = start, .length = length };
        return error_of(file.lock(abi::k_f_ofd_setlk, request));
    };
    EXPECT_EQ(lock(*first, abi::k_f_wrlck, 0, 100), Errno {});
    EXPECT_EQ(lock(*second, abi::k_f_rdlck, 50, 1), Errno::EAGAIN);
    EXPECT_EQ(lock(*first, abi::k_f_unlck, 40, 20), Errno {});
    EXPECT_EQ(lock(*second, abi::k_f_wrlck, 40, 20), Errno {});
    EXPECT_EQ(lock(*second, abi::k_f_rdlck, 39, 1), Errno::EAGAIN);
    EXPECT_EQ(lock(*second, abi::k_f_rdlck, 60, 0), Errno::EAGAIN);
    EXPECT_EQ(lock(*second, abi::k_f_rdlck, 100, 0), Errno {});
    first = nullptr; // gives up all it holds
    EXPECT_EQ(lock(*second, abi::k_f_wrlck, 0, 0), Errno {});
}

} // namespace eremite
