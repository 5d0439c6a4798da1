#include "fs/procfs.h"

#include "file/file.h"
#include "fs/mount.h"
#include "fs/open_file.h"
#include "fs/operations.h"
#include "fs/procfs_text.h"
#include "fs/ramfs.h"

#include <algorithm>

namespace eremite {

namespace {

constinit std::atomic<ProcFile*> s_files { nullptr };

class VectorSink final : public TextSink {
public:
    explicit VectorSink(Vector<char>& text)
        : m_text(text)
    {
    }
    void write(std::string_view text) override
    {
        // Twice as much each time: long texts come in many pieces.
        if (const usize wanted = m_text.size() + text.size(); wanted > m_reserved) {
            m_reserved = std::max(wanted, m_reserved * 2);
            if (m_text.try_reserve(m_reserved).is_error())
                m_failed = true;
        }
        if (m_failed || m_text.try_append(std::span(text)).is_error())
            m_failed = true;
    }
    bool failed() const { return m_failed; }

private:
    Vector<char>& m_text;
    usize m_reserved { 0 };
    bool m_failed { false };
};

/// The text, as it was when the file was opened.
class TextFile final : public InodeFile {
public:
    TextFile(Inode& inode, Dentry& dentry, u32 flags, Vector<char> text)
        : InodeFile(inode, dentry, flags)
        , m_text(std::move(text))
    {
    }
    Result<usize> read(IoBuffer buffer) override
    {
        Locked lock(m_lock);
        const usize count = TRY(read_at(buffer, m_position));
        m_position += count;
        return count;
    }
    Result<usize> read_at(IoBuffer buffer, u64 offset) override
    {
        if (offset >= m_text.size())
            return 0;
        const auto rest = std::as_const(m_text).span().subspan(offset);
        const auto part = rest.first(std::min(rest.size(), buffer.size()));
        TRY(buffer.write({ reinterpret_cast<const u8*>(part.data()), part.size() }));
        return part.size();
    }
    /// A setting's value is fixed; what is written must not pretend to change it.
    Result<usize> write(IoBuffer) override { return Errno::EPERM; }
    Result<u64> seek(i64 offset, int whence) override
    {
        Locked lock(m_lock);
        if (whence == abi::k_seek_cur)
            offset += static_cast<i64>(m_position);
        else if (whence != abi::k_seek_set)
            return Errno::EINVAL;
        if (offset < 0)
            return Errno::EINVAL;
        m_position = static_cast<u64>(offset);
        return m_position;
    }

private:
    Vector<char> m_text;
    Mutex m_lock;
    u64 m_position GUARDED_BY(m_lock) { 0 };
};

class ProcInode : public RamInode {
public:
    using RamInode::RamInode;
};

class TextInode final : public ProcInode {
public:
    TextInode(RamFileSystem& file_system, const ProcFile& file)
        : ProcInode(file_system, abi::k_s_ifreg | 0444)
        , m_file(file)
    {
    }
    Result<RefPtr<File>> open(Dentry& dentry, u32 flags) override
    {
        Vector<char> text;
        VectorSink sink(text);
        m_file.write_text(sink);
        if (sink.failed())
            return Errno::ENOMEM;
        return RefPtr<File>(TRY(make_ref<TextFile>(*this, dentry, flags, std::move(text))));
    }
    Result<> truncate(u64, u64) override { return {}; }

private:
    const ProcFile& m_file;
};

/// "1", for /proc/self; the current directory and root.
class LinkInode final : public ProcInode {
public:
    enum class Kind : u8 { Self, Current, Root };
    LinkInode(RamFileSystem& file_system, Kind kind)
        : ProcInode(file_system, abi::k_s_iflnk | 0777)
        , m_kind(kind)
    {
    }
    Result<String> read_link() override
    {
        if (m_kind == Kind::Self)
            return String::create("1");
        RefPtr<Dentry> root = fs_context().root();
        return path_of(m_kind == Kind::Root ? *root : *fs_context().current(), *root);
    }
    bool is_magic_link() const override { return m_kind != Kind::Self; }
    Result<RefPtr<Dentry>> link_destination() override
    {
        return m_kind == Kind::Root ? fs_context().root() : fs_context().current();
    }

private:
    Kind m_kind;
};

/// /proc/self/fd/N.
class DescriptorLink final : public ProcInode {
public:
    DescriptorLink(RamFileSystem& file_system, int fd)
        : ProcInode(file_system, abi::k_s_iflnk | 0700)
        , m_fd(fd)
    {
    }
    Result<String> read_link() override { return TRY(file())->description(); }
    bool is_magic_link() const override { return true; }
    Result<RefPtr<Dentry>> link_destination() override
    {
        RefPtr<File> target = TRY(file());
        return RefPtr<Dentry>(target->dentry());
    }
    /// What has no name (a pipe, a socket, the console) is shared instead of opened anew.
    Result<RefPtr<File>> open(Dentry&, u32) override { return file(); }

private:
    Result<RefPtr<File>> file()
    {
        auto found = fd_table().get(m_fd);
        return found.is_error() ? Result<RefPtr<File>>(Errno::ENOENT) : std::move(found);
    }
    int m_fd;
};

class DescriptorDirectory final : public ProcInode {
public:
    explicit DescriptorDirectory(RamFileSystem& file_system)
        : ProcInode(file_system, abi::k_s_ifdir | 0500)
    {
    }
    Result<Found> lookup(std::string_view name) override
    {
        u32 fd = 0;
        if (name.empty() || name.size() > 7 || (name.size() > 1 && name.starts_with('0')))
            return Errno::ENOENT;
        for (char c : name) {
            if (c < '0' || c > '9')
                return Errno::ENOENT;
            fd = fd * 10 + static_cast<u32>(c - '0');
        }
        if (fd_table().get(static_cast<int>(fd)).is_error())
            return Errno::ENOENT;
        // Gone at once: the descriptor may be closed any time.
        return Found { RefPtr<Inode>(TRY(make_ref<DescriptorLink>(ram(), static_cast<int>(fd)))), Nanoseconds() };
    }
    Result<> read_directory(u64, u64 position, u64 parent, DirectorySink& sink) override
    {
        constexpr u8 directory_type = abi::k_s_ifdir >> 12;
        if (position == 0 && !sink.add({ ".", number(), directory_type, 1 }))
            return {};
        if (position <= 1 && !sink.add({ "..", parent, directory_type, 2 }))
            return {};
        for (int fd = fd_table().next_open(static_cast<int>(std::max<u64>(position, 2) - 2)); fd >= 0;
            fd = fd_table().next_open(fd + 1)) {
            std::array<char, 12> text;
            const auto next = static_cast<u64>(fd) + 3;
            if (!sink.add({ format(text, "{}", fd), number() + next, abi::k_s_iflnk >> 12, next }))
                return {};
        }
        return {};
    }
};

/// The directory `path` leads to the file in, made if need be.
Result<RamDirectory*> directory_of(RamFileSystem& file_system, RamDirectory& root, std::string_view& path)
{
    RamDirectory* at = &root;
    while (true) {
        const usize slash = path.find('/');
        if (slash == std::string_view::npos)
            return at;
        const std::string_view name = path.substr(0, slash);
        path.remove_prefix(slash + 1);
        auto found = at->lookup(name);
        RefPtr<Inode> next;
        if (found.is_error()) {
            next = TRY(file_system.create_node(abi::k_s_ifdir | 0555, 0, {}));
            TRY(at->add(name, next));
        } else {
            next = found.release_value().inode;
        }
        at = static_cast<RamDirectory*>(next.get());
    }
}

Result<> add(RamFileSystem& file_system, RamDirectory& root, std::string_view path, RefPtr<Inode> inode)
{
    RamDirectory* directory = TRY(directory_of(file_system, root, path));
    return directory->add(path, std::move(inode));
}

} // namespace

void register_proc_file(ProcFile& file)
{
    ProcFile* first = s_files.load(std::memory_order_relaxed);
    do
        file.next = first;
    while (!s_files.compare_exchange_weak(first, &file, std::memory_order_release, std::memory_order_relaxed));
}

Result<> mount_processes()
{
    register_kernel_proc_files();
    RefPtr<RamFileSystem> file_system = TRY(RamFileSystem::create("proc", 0));
    RefPtr<Inode> root_inode = TRY(file_system->root());
    auto& root = static_cast<RamDirectory&>(*root_inode);
    TRY(add(*file_system, root, "self", TRY(make_ref<LinkInode>(*file_system, LinkInode::Kind::Self))));
    TRY(add(*file_system, root, "1/cwd", TRY(make_ref<LinkInode>(*file_system, LinkInode::Kind::Current))));
    TRY(add(*file_system, root, "1/root", TRY(make_ref<LinkInode>(*file_system, LinkInode::Kind::Root))));
    TRY(add(*file_system, root, "1/fd", TRY(make_ref<DescriptorDirectory>(*file_system))));
    TRY(add(*file_system, root, "1/exe", TRY(file_system->create_node(abi::k_s_iflnk, 0, program_path()))));
    TRY(add(*file_system, root, "mounts", TRY(file_system->create_node(abi::k_s_iflnk, 0, "self/mounts"))));
    if (s_files.load(std::memory_order_acquire)) {
        for (ProcFile* file = s_files.load(std::memory_order_acquire); file; file = file->next)
            TRY(add(*file_system, root, file->path, TRY(make_ref<TextInode>(*file_system, *file))));
    }
    RefPtr<Dentry> point = TRY(make_directories("/proc"));
    return Mounts::mount(std::move(file_system), *point, "proc");
}

} // namespace eremite
