// The C++ library needs errno's macros, which the kernel's headers take away: it comes first.
#include <cstdio>
#include <gtest/gtest.h>
#include <string>
#include <thread>

#include "arch/clock.h"
#include "fs/fuse/fuse.h"

#include "machine.h"
#include "model_fuse_daemon.h"

using namespace eremite;

namespace {

/// Page caches want frames.
[[maybe_unused]] const HostMachine& s_machine = host_machine();

struct Client {
    ModelFuseDaemon daemon;
    RefPtr<FuseFileSystem> file_system;
    RefPtr<Inode> root;

    void mount()
    {
        file_system = FuseFileSystem::create(daemon).release_value();
        root = file_system->root().release_value();
    }
    std::string read(Inode& inode, u64 offset = 0)
    {
        std::string text(10000, '\0');
        auto count = inode.read(0, offset, IoBuffer(std::span(reinterpret_cast<u8*>(text.data()), text.size())));
        if (count.is_error())
            return name_of(count.error());
        text.resize(count.value());
        return text;
    }
    Result<usize> write(Inode& inode, u64 offset, std::string text)
    {
        return inode.write(0, offset, IoBuffer(std::span(reinterpret_cast<u8*>(text.data()), text.size())));
    }
};

class Names final : public DirectorySink {
public:
    bool take(const DirectoryEntry& entry) override
    {
        names += std::string(entry.name) + " ";
        return true;
    }
    void found(std::string_view name, const RefPtr<Inode>& inode, Nanoseconds) override
    {
        looked_up += std::string(name) + "=" + std::to_string(inode->number()) + " ";
    }
    std::string names;
    std::string looked_up;
};

} // namespace

TEST(Fuse, ReadsAndWritesThroughToTheDaemon)
{
    Client client;
    client.daemon.add(1, "file", 0100644, std::string(9000, 'a'));
    client.mount();
    auto inode = client.root->lookup("file").release_value().inode;
    ASSERT_FALSE(inode->open_handle(2).is_error());
    EXPECT_EQ(client.read(*inode), std::string(9000, 'a'));
    EXPECT_EQ(client.write(*inode, 8999, "bcd").release_value(), 3u);
    EXPECT_EQ(client.daemon.nodes[2].data, std::string(8999, 'a') + "bcd");
    EXPECT_FALSE(inode->truncate(0, 4).is_error());
    EXPECT_EQ(client.daemon.nodes[2].data, "aaaa");
    EXPECT_EQ(client.read(*inode), "aaaa");
    inode->close_handle(0, 2);
    EXPECT_EQ(client.daemon.open_handles, 0u);
}

TEST(Fuse, SeesWhatTheHostChanged)
{
    Client client;
    client.daemon.add(1, "file", 0100644, "before");
    client.mount();
    auto inode = client.root->lookup("file").release_value().inode;
    ASSERT_FALSE(inode->open_handle(0).is_error());
    EXPECT_EQ(client.read(*inode), "before");
    client.daemon.nodes[2].data = "after it";
    client.daemon.nodes[2].modified = 2000;
    ASSERT_FALSE(inode->open_handle(0).is_error());
    EXPECT_EQ(client.read(*inode), "after it");
    inode->close_handle(0, 0);
    inode->close_handle(0, 0);
}

TEST(Fuse, ForgetsWhatItLookedUp)
{
    Client client;
    client.daemon.add(1, "file", 0100644, "x");
    client.mount();
    for (int i = 0; i < 100; ++i) {
        auto first = client.root->lookup("file").release_value();
        auto second = client.root->lookup("file").release_value();
        EXPECT_EQ(first.inode.get(), second.inode.get());
        auto made = client.root->create("new", 0100644, 0).release_value();
        EXPECT_FALSE(client.root->unlink("new", *made.inode).is_error());
    }
    EXPECT_EQ(client.daemon.total_lookups(), 0u);
    EXPECT_EQ(client.daemon.open_handles, 0u);
    EXPECT_EQ(client.daemon.counts[fuse::Opcode::Forget], 200u);
}

TEST(Fuse, ListsADirectory)
{
    Client client;
    client.daemon.add(1, "one", 0100644);
    client.daemon.add(1, "three", 0100644);
    client.mount();
    Names names;
    EXPECT_FALSE(client.root->read_directory(5, 0, 0, names).is_error());
    EXPECT_EQ(names.names, "one three ");
}

TEST(Fuse, ListsADirectoryWithWhatLookupsWouldFind)
{
    Client client;
    client.daemon.readdirplus = true;
    client.daemon.entry_seconds = 10;
    client.daemon.add(1, "one", 0100644, "1");
    client.daemon.add(1, "three", 0100644, "333");
    client.mount();
    {
        Names names;
        EXPECT_FALSE(client.root->read_directory(5, 0, 0, names).is_error());
        EXPECT_EQ(names.names, "one three ");
        EXPECT_EQ(names.looked_up, "one=2 three=3 ");
        EXPECT_EQ(client.daemon.counts[fuse::Opcode::ReadDirectory], 0u);
    }
    // Nobody kept them: all lookups are given back.
    EXPECT_EQ(client.daemon.total_lookups(), 0u);
    // Whoever goes on without having looked at a file is told the names alone.
    Names rest;
    EXPECT_FALSE(client.root->read_directory(5, 1, 0, rest).is_error());
    EXPECT_EQ(rest.names, "three ");
    EXPECT_EQ(rest.looked_up, "");
}

TEST(Fuse, DoesWithoutReaddirplus)
{
    Client client;
    client.daemon.readdirplus = true;
    client.daemon.add(1, "one", 0100644);
    client.mount();
    client.daemon.meddle = [](fuse::Opcode opcode, std::string whole) {
        if (opcode != fuse::Opcode::ReadDirectoryPlus)
            return whole;
        const fuse::OutHeader refusal { .length = 16, .error = -38, .unique = 0 };
        std::memcpy(whole.data(), &refusal, 8); // the unique number stays
        return whole.substr(0, 16);
    };
    for (int i = 0; i < 2; ++i) {
        Names names;
        EXPECT_FALSE(client.root->read_directory(5, 0, 0, names).is_error());
        EXPECT_EQ(names.names, "one ");
    }
    EXPECT_EQ(client.daemon.counts[fuse::Opcode::ReadDirectoryPlus], 1u);
}

TEST(Fuse, LiesGiveEio)
{
    struct Lie {
        const char* name;
        std::function<std::string(std::string)> change;
    };
    const Lie lies[] {
        { "wrong unique",
            [](std::string s) {
                s[8] ^= 1;
                return s;
            } },
        { "length too large",
            [](std::string s) {
                ++s[0];
                return s;
            } },
        { "truncated", [](std::string s) { return s.substr(0, s.size() / 2); } },
        { "nothing", [](std::string) { return std::string(); } },
        { "unknown error",
            [](std::string s) {
                s[4] = 0x38;
                s[5] = char(0xfe);
                s[6] = s[7] = char(0xff);
                s.resize(16);
                s[0] = 16;
                return s;
            } },
        { "positive error",
            [](std::string s) {
                s[4] = 5;
                return s;
            } },
        { "an error with a payload",
            [](std::string s) {
                s[4] = char(-2);
                s[5] = s[6] = s[7] = char(-1);
                return s;
            } },
        { "changed type",
            [](std::string s) {
                for (usize at : { 16u + 16 + 60, 16u + 40 + 60 })
                    if (at + 2 < s.size())
                        s[at + 1] = 0x10;
                return s;
            } },
    };
    for (const Lie& lie : lies) {
        SCOPED_TRACE(lie.name);
        Client client;
        client.daemon.add(1, "file", 0100644, "data");
        client.mount();
        auto inode = client.root->lookup("file").release_value().inode;
        client.daemon.meddle = [&](fuse::Opcode, std::string whole) { return lie.change(std::move(whole)); };
        auto found = client.root->lookup("file");
        ASSERT_TRUE(found.is_error());
        EXPECT_EQ(found.error(), Errno::EIO);
        Attributes attributes;
        auto asked = inode->attributes(attributes);
        ASSERT_TRUE(asked.is_error());
        EXPECT_EQ(asked.error(), Errno::EIO);
        client.daemon.meddle = nullptr;
        EXPECT_FALSE(inode->attributes(attributes).is_error());
    }
}

TEST(Fuse, BadDirectoryNamesGiveEio)
{
    for (const std::string& name : { std::string("a/b"), std::string(), std::string(300, 'x') }) {
        Client client;
        client.daemon.add(1, name, 0100644);
        client.mount();
        Names names;
        EXPECT_TRUE(client.root->read_directory(5, 0, 0, names).is_error());
    }
}

TEST(Fuse, ADeadDaemonGivesEio)
{
    Client client;
    client.daemon.add(1, "file", 0100644, "data");
    client.mount();
    auto inode = client.root->lookup("file").release_value().inode;
    ASSERT_FALSE(inode->open_handle(2).is_error());
    client.daemon.dead = true;
    EXPECT_EQ(client.read(*inode), "EIO");
    EXPECT_EQ(client.write(*inode, 0, "x").error(), Errno::EIO);
    EXPECT_TRUE(client.root->lookup("file").is_error());
    EXPECT_TRUE(inode->sync(0, false).is_error());
    inode->close_handle(0, 2);
}

TEST(Fuse, ASilentDaemonGivesEioAndMayAnswerLate)
{
    Client client;
    client.daemon.add(1, "file", 0100644, std::string(9000, 'a'));
    client.mount();
    auto inode = client.root->lookup("file").release_value().inode;
    ASSERT_FALSE(inode->open_handle(2).is_error());
    const u64 free_before = frame_statistics().free;

    client.daemon.silent = true;
    const Nanoseconds before = arch::now();
    EXPECT_EQ(client.root->lookup("other").error(), Errno::EIO);
    EXPECT_GE(client.daemon.last_deadline, before + FuseFileSystem::k_default_timeout);
    // Whoever comes later waits a second, no more.
    EXPECT_EQ(client.read(*inode), "EIO");
    EXPECT_LE(client.daemon.last_deadline, arch::now() + Nanoseconds::from_seconds(1));
    // The pages that the answer would go to are no longer the file's, and not anybody else's.
    EXPECT_LT(frame_statistics().free, free_before);

    client.daemon.answer_late();
    EXPECT_EQ(client.daemon.late_answers, 2u);
    EXPECT_EQ(frame_statistics().free, free_before);
    client.daemon.silent = false;
    EXPECT_EQ(client.read(*inode), std::string(9000, 'a'));
    inode->close_handle(0, 2);
}

TEST(Fuse, WhatASilentDaemonDidNotTakeIsWrittenLater)
{
    Client client;
    client.daemon.add(1, "file", 0100644, std::string(5000, 'a'));
    client.mount();
    auto inode = client.root->lookup("file").release_value().inode;
    ASSERT_FALSE(inode->open_handle(2).is_error());
    EXPECT_EQ(client.read(*inode), std::string(5000, 'a'));

    client.daemon.silent = true;
    EXPECT_EQ(client.write(*inode, 100, "bcd").error(), Errno::EIO);
    // The page is dropped while the daemon still has it: it is nobody's until then.
    const u64 free_before = frame_statistics().free;
    EXPECT_TRUE(inode->truncate(0, 0).is_error());
    client.daemon.answer_late();
    client.daemon.silent = false;
    EXPECT_GE(frame_statistics().free, free_before);

    EXPECT_EQ(client.write(*inode, 0, "new").release_value(), 3u);
    EXPECT_EQ(client.daemon.nodes[2].data.substr(0, 3), "new");
    inode->close_handle(0, 2);
}

TEST(Fuse, RefusesAnotherProtocol)
{
    ModelFuseDaemon daemon;
    daemon.meddle = [](fuse::Opcode, std::string whole) {
        whole[16] = 8;
        return whole;
    };
    EXPECT_EQ(FuseFileSystem::create(daemon).error(), Errno::EPROTO);
}
