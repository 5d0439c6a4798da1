#include "fs/unpack.h"

#include "base/log.h"
#include "fs/archive.h"

namespace eremite {

namespace {

class Unpacker {
public:
    Unpacker(RamFileSystem& file_system, RamDirectory& root)
        : m_file_system(file_system)
        , m_root(root)
    {
    }

    /// EINVAL with a reason in m_reason: the entry is refused; ENOMEM.
    Result<> add(const ArchiveEntry& entry);
    const char* reason() const { return m_reason; }

private:
    Errno refuse(const char* reason)
    {
        m_reason = reason;
        return Errno::EINVAL;
    }
    /// The directory that is to hold `path`'s last component, made if need be; the component goes to `last`.
    Result<RamDirectory*> directory_for(std::string_view path, std::string_view& last);
    Result<RefPtr<Inode>> find(std::string_view path);
    Result<RefPtr<Inode>> make_file(const ArchiveEntry& entry);
    Result<> finish(RamInode& inode, const ArchiveEntry& entry);

    RamFileSystem& m_file_system;
    RamDirectory& m_root;
    const char* m_reason { "" };
    struct Linked {
        u64 number;
        RefPtr<Inode> inode;
    };
    Vector<Linked> m_linked; // cpio: files with several names
    // Archives list a directory's files together: most lookups are of the same directory as the last.
    RamDirectory* m_last_directory { nullptr };
    String m_last_path;
};

/// The next component of `path`; false at the end.
bool next_component(std::string_view& path, std::string_view& component)
{
    while (true) {
        while (path.starts_with('/'))
            path.remove_prefix(1);
        if (path.empty())
            return false;
        component = path.substr(0, path.find('/'));
        path.remove_prefix(component.size());
        if (component != ".")
            return true;
    }
}

Result<RamDirectory*> Unpacker::directory_for(std::string_view path, std::string_view& last)
{
    if (path.size() >= abi::k_path_max)
        return refuse("its name is too long");
    while (path.ends_with('/'))
        path.remove_suffix(1);
    const usize slash = path.rfind('/');
    const std::string_view prefix = slash == std::string_view::npos ? std::string_view {} : path.substr(0, slash);
    if (m_last_directory && prefix == m_last_path.view()) {
        last = path.substr(slash == std::string_view::npos ? 0 : slash + 1);
        if (last != "." && last != ".." && last.size() <= abi::k_name_max)
            return m_last_directory;
    }
    RamDirectory* at = &m_root;
    std::string_view rest = path;
    std::string_view component;
    last = {};
    while (next_component(rest, component)) {
        if (component == "..")
            return refuse("its name contains \"..\"");
        if (component.size() > abi::k_name_max)
            return refuse("its name is too long");
        if (!last.empty()) {
            auto found = at->lookup(last);
            RefPtr<Inode> next;
            if (found.is_error()) {
                next = TRY(m_file_system.create_node(abi::k_s_ifdir | 0755, 0, {}));
                TRY(at->add(last, next));
            } else {
                next = found.release_value().inode;
            }
            if (!next->is_directory())
                return refuse("its directory is a file or a link");
            at = static_cast<RamDirectory*>(next.get());
        }
        last = component;
    }
    if (!prefix.empty()) {
        m_last_path = TRY(String::create(prefix));
        m_last_directory = at;
    }
    return at;
}

Result<RefPtr<Inode>> Unpacker::find(std::string_view path)
{
    RefPtr<Inode> at(&m_root);
    std::string_view component;
    while (next_component(path, component)) {
        if (!at->is_directory() || component == "..")
            return Errno::ENOENT;
        at = TRY(at->lookup(component)).inode;
    }
    return at;
}

Result<> Unpacker::finish(RamInode& inode, const ArchiveEntry& entry)
{
    TRY(inode.set_attributes({ .what = AttributeChange::Mode | AttributeChange::Uid | AttributeChange::Gid,
        .mode = entry.mode & 07777,
        .uid = entry.uid,
        .gid = entry.gid }));
    inode.set_times(Nanoseconds::from_seconds(std::clamp<i64>(entry.modify_seconds, 0, INT64_MAX / 1'000'000'000 - 1)));
    return {};
}

Result<RefPtr<Inode>> Unpacker::make_file(const ArchiveEntry& entry)
{
    if (entry.is_hard_link) {
        auto target = find(entry.link_target);
        if (target.is_error() || target.value()->is_directory())
            return refuse("the file that it links to is not there");
        static_cast<RamInode&>(*target.value()).change_link_count(1);
        return target;
    }
    const u32 type = entry.mode & abi::k_s_ifmt;
    const bool is_shared = entry.inode != 0 && entry.link_count > 1 && type == abi::k_s_ifreg;
    if (is_shared) {
        for (Linked& linked : m_linked) {
            if (linked.number != entry.inode)
                continue;
            auto& file = static_cast<RamFile&>(*linked.inode);
            // newc keeps the data with the last name.
            if (!entry.data.empty())
                file.set_contents(entry.data);
            file.change_link_count(1);
            return linked.inode;
        }
    }
    auto made = m_file_system.create_node(entry.mode, entry.device, entry.link_target);
    if (made.is_error()) {
        if (made.error() == Errno::EINVAL)
            m_reason = "its type is unknown";
        return made;
    }
    RefPtr<Inode> inode = made.release_value();
    if (type == abi::k_s_ifreg)
        static_cast<RamFile&>(*inode).set_contents(entry.data);
    TRY(finish(static_cast<RamInode&>(*inode), entry));
    if (is_shared)
        TRY(m_linked.try_append(Linked { entry.inode, inode }));
    return inode;
}

Result<> Unpacker::add(const ArchiveEntry& entry)
{
    std::string_view last;
    RamDirectory* directory = TRY(directory_for(entry.path, last));
    const bool is_directory = (entry.mode & abi::k_s_ifmt) == abi::k_s_ifdir && !entry.is_hard_link;
    if (last.empty()) // "." or "/": the root itself
        return is_directory ? finish(m_root, entry) : Result<>(refuse("its name is that of the root"));
    auto existing = directory->lookup(last);
    if (!existing.is_error()) {
        RefPtr<Inode> inode = existing.release_value().inode;
        if (is_directory && inode->is_directory())
            return finish(static_cast<RamInode&>(*inode), entry);
        if (is_directory || inode->is_directory())
            return refuse("its name is taken by another kind of file");
        // A later entry of the same name replaces the earlier one, as tar does.
        RefPtr<Inode> replacement = TRY(make_file(entry));
        TRY(directory->unlink(last, *inode));
        return directory->add(last, std::move(replacement));
    }
    return directory->add(last, TRY(make_file(entry)));
}

} // namespace

Result<UnpackResult> unpack_archive(std::span<const u8> archive, RamFileSystem& file_system, RamDirectory& root)
{
    UnpackResult result;
    ArchiveReader reader(archive);
    Unpacker unpacker(file_system, root);
    ArchiveEntry entry;
    while (true) {
        switch (reader.next(entry)) {
        case ArchiveReader::Step::End:
            return result;
        case ArchiveReader::Step::Corrupt:
            result.error = reader.error();
            result.offset = reader.offset();
            return result;
        case ArchiveReader::Step::Entry:
            break;
        }
        auto added = unpacker.add(entry);
        if (!added.is_error()) {
            ++result.files;
            continue;
        }
        if (added.error() != Errno::EINVAL)
            return added.error();
        ++result.skipped;
        log_warning("files: {} left out of the archive: {}", entry.path, unpacker.reason());
    }
}

} // namespace eremite
