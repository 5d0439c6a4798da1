// /dev: a file system in memory with the usual nodes, and what opening a character device gives, wherever its node
// lies.
#include "fs/devfs.h"

#include "base/log.h"
#include "file/console_file.h"
#include "fs/mount.h"
#include "fs/open_file.h"
#include "fs/operations.h"
#include "fs/ramfs.h"
#include "random/random.h"

#include <algorithm>

namespace eremite {

namespace {

constexpr u64 device_number(u64 major, u64 minor)
{
    return major << 8 | minor;
}

/// null, zero, full, random and urandom: they differ in what reading and writing does.
enum class Memory : u8 { Null, Zero, Full, Random };

class MemoryDevice final : public InodeFile {
public:
    MemoryDevice(Inode& inode, Dentry& dentry, u32 flags, Memory kind)
        : InodeFile(inode, dentry, flags)
        , m_kind(kind)
    {
    }

    Result<usize> read(IoBuffer buffer) override
    {
        if (m_kind == Memory::Zero && !buffer.is_kernel()) [[likely]] {
            TRY(buffer.user().clear());
            return buffer.user().size();
        }
        return read_other(buffer);
    }
    Result<usize> write(IoBuffer buffer) override
    {
        if (m_kind == Memory::Full)
            return Errno::ENOSPC;
        if (m_kind == Memory::Random)
            return write_random(buffer);
        return buffer.size();
    }
    Result<usize> read_at(IoBuffer buffer, u64) override { return read(buffer); }
    Result<usize> write_at(IoBuffer buffer, u64) override { return write(buffer); }
    Result<u64> seek(i64, int) override { return 0; }
    bool can_poll() const override { return m_kind == Memory::Random; }
    Result<> sync(bool) override { return Errno::EINVAL; }

private:
    [[gnu::noinline]] Result<usize> read_other(IoBuffer buffer)
    {
        switch (m_kind) {
        case Memory::Null:
            return 0;
        case Memory::Random:
            return read_random(buffer);
        default:
            TRY(buffer.clear());
            return buffer.size();
        }
    }
    [[gnu::noinline]] static Result<usize> write_random(IoBuffer buffer)
    {
        std::array<u8, 64> bytes;
        const auto part = std::span(bytes).first(std::min(bytes.size(), buffer.size()));
        TRY(buffer.first(part.size()).read(part));
        random_add(part, 0);
        return buffer.size();
    }
    static Result<usize> read_random(IoBuffer buffer)
    {
        std::array<u8, 256> bytes;
        usize total = 0;
        while (total < buffer.size()) {
            const auto part = std::span(bytes).first(std::min(bytes.size(), buffer.size() - total));
            random_fill_long(part);
            TRY(buffer.subspan(total).write(part));
            total += part.size();
        }
        return total;
    }

    Memory m_kind;
};

Result<RefPtr<File>> open_device(Inode& inode, Dentry& dentry, u32 flags)
{
    Attributes attributes;
    TRY(inode.attributes(attributes));
    Memory kind;
    switch (attributes.special_device) {
    case device_number(1, 3):
        kind = Memory::Null;
        break;
    case device_number(1, 5):
        kind = Memory::Zero;
        break;
    case device_number(1, 7):
        kind = Memory::Full;
        break;
    case device_number(1, 8):
    case device_number(1, 9):
        kind = Memory::Random;
        break;
    case device_number(5, 0):
    case device_number(5, 1):
        return open_console(flags);
    case device_number(5, 2):
        log_warning("/dev/ptmx: there are no pseudo-terminals");
        return Errno::ENXIO;
    default:
        return Errno::ENXIO;
    }
    return RefPtr<File>(TRY(make_ref<MemoryDevice>(inode, dentry, flags, kind)));
}

struct Node {
    std::string_view name;
    u32 mode;
    u64 device;
    std::string_view target;
};
constexpr std::array s_nodes {
    Node { "null", abi::k_s_ifchr | 0666, device_number(1, 3), {} },
    Node { "zero", abi::k_s_ifchr | 0666, device_number(1, 5), {} },
    Node { "full", abi::k_s_ifchr | 0666, device_number(1, 7), {} },
    Node { "random", abi::k_s_ifchr | 0666, device_number(1, 8), {} },
    Node { "urandom", abi::k_s_ifchr | 0666, device_number(1, 9), {} },
    Node { "tty", abi::k_s_ifchr | 0666, device_number(5, 0), {} },
    Node { "console", abi::k_s_ifchr | 0600, device_number(5, 1), {} },
    Node { "ptmx", abi::k_s_ifchr | 0666, device_number(5, 2), {} },
    Node { "fd", abi::k_s_iflnk, 0, "/proc/self/fd" },
    Node { "stdin", abi::k_s_iflnk, 0, "/proc/self/fd/0" },
    Node { "stdout", abi::k_s_iflnk, 0, "/proc/self/fd/1" },
    Node { "stderr", abi::k_s_iflnk, 0, "/proc/self/fd/2" },
    Node { "shm", abi::k_s_ifdir | 01777, 0, {} },
};

} // namespace

Result<> mount_devices()
{
    register_opener(abi::k_s_ifchr, open_device);
    RefPtr<RamFileSystem> file_system = TRY(RamFileSystem::create("devtmpfs", default_memory_limit()));
    RefPtr<Inode> root = TRY(file_system->root());
    for (const Node& node : s_nodes)
        TRY(static_cast<RamDirectory&>(*root).add(
            node.name, TRY(file_system->create_node(node.mode, node.device, node.target))));
    RefPtr<Dentry> point = TRY(make_directories("/dev"));
    return Mounts::mount(std::move(file_system), *point, "devtmpfs");
}

} // namespace eremite
