// A FUSE daemon whose every answer is the fuzzer's: no operation may crash, hang or believe an impossible thing.
#include "fs/fuse/fuse.h"
#include "base/log.h"
#include "machine.h"
#include <algorithm>
#include <cstring>
#include <vector>

using namespace eremite;

namespace {

/// Page caches want frames.
[[maybe_unused]] const HostMachine& s_machine = host_machine();

class FuzzTransport final : public FuseTransport {
public:
    explicit FuzzTransport(std::span<const u8> input)
        : m_input(input)
    {
        m_tag = "fuzz";
        m_max_transfer = 1 << 20;
    }
    ~FuzzTransport() override { answer_late(); }

    Result<usize> exchange(std::span<const std::span<const u8>> requests, std::span<const std::span<u8>> replies,
        OwnPtr<RequestMemory>& memory, Nanoseconds) override
    {
        if (m_input.empty())
            return Errno::EIO;
        if (m_input[0] == k_late) {
            m_input = m_input.subspan(1);
            memory->on_late();
            m_late.push_back({ std::move(memory), { replies.begin(), replies.end() } });
            return Errno::ETIMEDOUT;
        }
        if (m_input[0] == k_answer_late)
            answer_late();
        // A length, then the payload; the header is right unless the first bit says otherwise.
        const u8 control = m_input[0];
        m_input = m_input.subspan(1);
        usize done = 0;
        const usize wanted = (control & 2) != 0 ? ~usize { 0 } : static_cast<usize>(control >> 2) * 4;
        for (auto part : replies) {
            const usize count = std::min({ part.size(), m_input.size(), wanted - std::min(wanted, done) });
            std::memcpy(part.data(), m_input.data(), count);
            m_input = m_input.subspan(count);
            done += count;
        }
        if ((control & 1) == 0 && done >= sizeof(fuse::OutHeader)) {
            fuse::OutHeader header;
            fuse::InHeader in;
            std::memcpy(&in, requests[0].data(), sizeof in);
            header.length = static_cast<u32>(done);
            header.unique = in.unique;
            std::memcpy(replies[0].data(), &header, sizeof header);
        }
        return done;
    }
    Result<> send(std::span<const u8>, Nanoseconds) override { return {}; }

private:
    // First bytes of an answer with a meaning of their own.
    static constexpr u8 k_late = 0xff;
    static constexpr u8 k_answer_late = 0xfb;

    struct Late {
        OwnPtr<RequestMemory> memory;
        std::vector<std::span<u8>> replies;
    };
    void answer_late()
    {
        for (Late& late : m_late) {
            for (auto part : late.replies)
                std::memset(part.data(), 0xee, part.size());
        }
        m_late.clear();
    }

    std::vector<Late> m_late;
    std::span<const u8> m_input;
};

class Sink final : public DirectorySink {
public:
    bool take(const DirectoryEntry& entry) override { return entry.name.size() < 256 && ++m_count < 1000; }

private:
    unsigned m_count { 0 };
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size)
{
    set_log_level(LogLevel::Error);
    FuzzTransport transport({ data, size });
    auto mounted = FuseFileSystem::create(transport);
    if (mounted.is_error())
        return 0;
    auto root = mounted.value()->root();
    if (root.is_error())
        return 0;
    std::array<u8, 6000> buffer {};
    for (int i = 0; i < 4; ++i) {
        auto found = root.value()->lookup("name");
        Sink sink;
        static_cast<void>(root.value()->read_directory(1, 0, 1, sink));
        if (found.is_error())
            continue;
        Inode& inode = *found.value().inode;
        Attributes attributes;
        static_cast<void>(inode.attributes(attributes));
        static_cast<void>(inode.read_link());
        static_cast<void>(inode.get_xattr("user.a", std::span(buffer)));
        if (!inode.is_regular() || inode.open_handle(2).is_error())
            continue;
        static_cast<void>(inode.read(0, 0, IoBuffer(std::span(buffer))));
        static_cast<void>(inode.write(0, 100, IoBuffer(std::span(buffer))));
        static_cast<void>(inode.truncate(0, 50));
        inode.close_handle(0, 2);
    }
    return 0;
}
