#include "base/log.h"
#include "fs/ext/ext.h"
#include "sched/clock.h"

#include <algorithm>

namespace eremite::ext {

namespace {

constexpr u32 k_most_links = 65000;
constexpr u32 k_set_group = 02000; // S_ISGID

} // namespace

// The library is only named here.
ExtInode::ExtInode(ExtFileSystem& file_system, u32 number, const InodeData& data) NO_THREAD_SAFETY_ANALYSIS
    : Inode(file_system, number, data.mode),
      m_on_disk(data),
      m_directory(file_system.library(), number),
      m_pages(this, data.size)
{
    m_entry.number = number;
    m_entry.inode = this;
    m_attributes.link_count = data.link_count;
    m_attributes.uid = data.uid;
    m_attributes.gid = data.gid;
    m_attributes.special_device = data.special_device;
    m_attributes.size = data.size;
    m_attributes.blocks = data.sectors;
    m_attributes.block_size = file_system.block_size();
    m_attributes.access_time = data.access_time;
    m_attributes.modify_time = data.modify_time;
    times_changed();
    m_attributes.change_time = data.change_time;
    m_attributes.birth_time = data.birth_time;
}

ExtInode::~ExtInode()
{
    bool is_unlinked;
    {
        Locked lock(ext().lock());
        is_unlinked = m_on_disk.link_count == 0;
    }
    if (is_unlinked)
        static_cast<void>(m_pages.resize(0).is_error());
    else if (auto written = write_back(); written.is_error())
        log_error("ext: {} while writing back file {}: data are lost", written.error(), number());
    {
        Locked lock(ext().lock());
        const bool may_write = !ext().is_read_only() && !ext().begin().is_error();
        Result<> result;
        if (may_write && !is_unlinked)
            result = flush_attributes();
        if (may_write && m_is_orphan) {
            result = ext().library().remove_orphan(disk_number());
            if (!result.is_error())
                result = ext().library().free_inode(disk_number());
        }
        if (result.is_error())
            ext().give_up(result.error());
    }
    ext().inode_gone(*this);
}

u64 ExtInode::size()
{
    return is_regular() ? m_pages.size() : Inode::size();
}

InodeData ExtInode::data()
{
    const u64 now_size = size();
    Locked lock(m_attributes_lock);
    return { .mode = m_attributes.mode,
        .uid = m_attributes.uid,
        .gid = m_attributes.gid,
        .link_count = m_attributes.link_count,
        .size = now_size,
        .sectors = m_on_disk.sectors,
        .special_device = m_on_disk.special_device,
        .access_time = m_attributes.access_time,
        .modify_time = m_attributes.modify_time,
        .change_time = m_attributes.change_time,
        .birth_time = m_attributes.birth_time };
}

Result<> ExtInode::flush_attributes() NO_THREAD_SAFETY_ANALYSIS
{
    const InodeData now = data();
    if (now == m_on_disk)
        return {};
    TRY(ext().library().write_inode(disk_number(), now));
    m_on_disk = now;
    return {};
}

Result<> ExtInode::attributes(Attributes& result)
{
    TRY(Inode::attributes(result));
    if (is_regular()) {
        result.size = m_pages.size();
        // Pages without a place yet will have one.
        result.blocks += m_pages.dirty_count() * (k_page_size / 512);
    }
    return {};
}

Result<> ExtInode::set_attributes(const AttributeChange& change)
{
    {
        Locked lock(ext().lock());
        TRY(ext().begin());
    }
    return Inode::set_attributes(change);
}

Result<Inode::Found> ExtInode::lookup(std::string_view name)
{
    u32 number;
    {
        Locked lock(ext().lock());
        number = TRY(m_directory.find(name));
    }
    return Found { .inode = RefPtr<Inode>(TRY(ext().inode(number))) };
}

/// The directory's entries have changed.
void ExtInode::directory_changed()
{
    touch_modify();
    m_on_disk.size = m_directory.size();
    Locked lock(m_attributes_lock);
    m_attributes.size = m_on_disk.size;
    m_attributes.blocks = m_on_disk.size / 512;
}

Result<> ExtInode::change_links(int by) NO_THREAD_SAFETY_ANALYSIS
{
    touch_change();
    {
        Locked lock(m_attributes_lock);
        m_attributes.link_count += static_cast<u32>(by);
    }
    TRY(flush_attributes());
    if (m_on_disk.link_count == 0 && !m_is_orphan) {
        TRY(ext().library().add_orphan(disk_number()));
        m_is_orphan = true;
    } else if (m_on_disk.link_count != 0 && m_is_orphan) {
        TRY(ext().library().remove_orphan(disk_number()));
        m_is_orphan = false;
    }
    return {};
}

/// A new file, under `name` if that isn't empty.
Result<RefPtr<ExtInode>> ExtInode::make(u32 mode, u64 device, std::string_view text, std::string_view name)
{
    const bool makes_directory = (mode & abi::k_s_ifmt) == abi::k_s_ifdir;
    u32 made;
    {
        Locked lock(ext().lock());
        TRY(ext().begin());
        Library& library = ext().library();
        if (makes_directory && m_on_disk.link_count >= k_most_links)
            return Errno::EMLINK;
        TRY(ext().require_metadata_room());
        const Nanoseconds now = realtime_now();
        InodeData data { .mode = mode,
            .link_count = name.empty() ? 0u
                : makes_directory      ? 2u
                                       : 1u,
            .access_time = now,
            .modify_time = now,
            .change_time = now,
            .birth_time = now };
        {
            // As in every directory with the bit, the group comes from it (and a directory inherits the bit).
            Locked attributes_lock(m_attributes_lock);
            if ((m_attributes.mode & k_set_group) != 0) {
                data.gid = m_attributes.gid;
                if (makes_directory)
                    data.mode |= k_set_group;
            }
        }
        made = TRY(library.create_inode(disk_number(), data, device, text));
        Result<> result;
        if (makes_directory)
            result = Directory::initialize(library, made, disk_number());
        if (!result.is_error() && !name.empty())
            result = m_directory.add(name, made, mode);
        if (result.is_error()) {
            if (auto freed = library.free_inode(made); freed.is_error())
                return ext().give_up(freed.error());
            return result.error();
        }
        if (name.empty())
            TRY(library.add_orphan(made));
        else
            directory_changed();
        if (makes_directory)
            TRY(change_links(1));
    }
    RefPtr<ExtInode> inode = TRY(ext().inode(made, name.empty()));
    if (name.empty())
        inode->m_is_orphan = true;
    return inode;
}

Result<Inode::Found> ExtInode::create(std::string_view name, u32 mode, u64 device)
{
    return Found { .inode = RefPtr<Inode>(TRY(make(mode, device, {}, name))) };
}

Result<Inode::Found> ExtInode::create_symlink(std::string_view name, std::string_view target)
{
    if (target.size() >= ext().block_size())
        return Errno::ENAMETOOLONG;
    return Found { .inode = RefPtr<Inode>(TRY(make(abi::k_s_iflnk | 0777, 0, target, name))) };
}

Result<RefPtr<Inode>> ExtInode::create_unnamed(u32 mode)
{
    return RefPtr<Inode>(TRY(make(mode, 0, {}, {})));
}

Result<> ExtInode::link(std::string_view name, Inode& inode)
{
    auto& existing = static_cast<ExtInode&>(inode);
    Locked lock(ext().lock());
    TRY(ext().begin());
    TRY(ext().require_metadata_room());
    if (existing.m_on_disk.link_count >= k_most_links)
        return Errno::EMLINK;
    TRY(m_directory.add(name, existing.disk_number(), existing.type()));
    directory_changed();
    return existing.change_links(1);
}

Result<> ExtInode::unlink(std::string_view name, Inode& inode)
{
    Locked lock(ext().lock());
    TRY(ext().begin());
    TRY(m_directory.remove(name));
    directory_changed();
    return static_cast<ExtInode&>(inode).change_links(-1);
}

Result<> ExtInode::remove_directory(std::string_view name, Inode& inode)
{
    auto& directory = static_cast<ExtInode&>(inode);
    Locked lock(ext().lock());
    TRY(ext().begin());
    if (!TRY(directory.m_directory.is_empty()))
        return Errno::ENOTEMPTY;
    TRY(m_directory.remove(name));
    directory_changed();
    TRY(directory.change_links(-static_cast<int>(directory.m_on_disk.link_count)));
    return change_links(-1);
}

Result<> ExtInode::rename(
    std::string_view name, Inode& inode, Inode& target, std::string_view new_name, Inode* replaced, bool exchange)
{
    auto& moved = static_cast<ExtInode&>(inode);
    auto& into = static_cast<ExtInode&>(target);
    auto* other = static_cast<ExtInode*>(replaced);
    Locked lock(ext().lock());
    TRY(ext().begin());
    TRY(ext().require_metadata_room());
    if (other && !exchange && other->is_directory() && !TRY(other->m_directory.is_empty()))
        return Errno::ENOTEMPTY;
    if (moved.is_directory() && &into != this && into.m_on_disk.link_count >= k_most_links)
        return Errno::EMLINK;

    if (other)
        TRY(into.m_directory.replace(new_name, moved.disk_number(), moved.type()));
    else
        TRY(into.m_directory.add(new_name, moved.disk_number(), moved.type()));
    if (exchange)
        TRY(m_directory.replace(name, other->disk_number(), other->type()));
    else
        TRY(m_directory.remove(name));
    directory_changed();
    into.directory_changed();
    moved.touch_change();

    if (&into != this) {
        if (moved.is_directory()) {
            TRY(moved.m_directory.replace("..", into.disk_number(), abi::k_s_ifdir));
            TRY(into.change_links(1));
            TRY(change_links(-1));
        }
        if (exchange && other->is_directory()) {
            TRY(other->m_directory.replace("..", disk_number(), abi::k_s_ifdir));
            TRY(change_links(1));
            TRY(into.change_links(-1));
        }
    }
    if (other && !exchange) {
        if (other->is_directory()) {
            TRY(other->change_links(-static_cast<int>(other->m_on_disk.link_count)));
            TRY(into.change_links(-1));
        } else {
            TRY(other->change_links(-1));
        }
    }
    return {};
}

namespace {

/// Keeps entries until the lock is released: the reader's memory may be a file's on this very disk.
class KeptEntries final : public DirectorySink {
public:
    bool take(const DirectoryEntry& entry) override
    {
        if (m_count == m_entries.size() || m_text_used + entry.name.size() > m_text.size())
            return false;
        std::ranges::copy(entry.name, std::span(m_text).subspan(m_text_used).begin());
        m_entries[m_count] = entry;
        m_entries[m_count++].name
            = std::string_view(m_text.data(), m_text.size()).substr(m_text_used, entry.name.size());
        m_text_used += entry.name.size();
        return true;
    }
    std::span<const DirectoryEntry> entries() const { return std::span(m_entries).first(m_count); }
    void clear() { m_count = m_text_used = 0; }

private:
    std::array<DirectoryEntry, 64> m_entries;
    std::array<char, 2048> m_text;
    usize m_count { 0 };
    usize m_text_used { 0 };
};

} // namespace

Result<> ExtInode::read_directory(u64, u64 position, u64, DirectorySink& sink)
{
    OwnPtr<KeptEntries> kept = TRY(eremite::make<KeptEntries>());
    while (true) {
        kept->clear();
        {
            Locked lock(ext().lock());
            TRY(m_directory.read(position, *kept));
        }
        if (kept->entries().empty())
            return {};
        for (const DirectoryEntry& entry : kept->entries()) {
            if (!sink.add(entry))
                return {};
            position = entry.next;
        }
    }
}

Result<String> ExtInode::read_link()
{
    Locked lock(ext().lock());
    return ext().library().read_link(disk_number());
}

Result<usize> ExtInode::get_xattr(std::string_view name, std::span<u8> buffer)
{
    Locked lock(ext().lock());
    return ext().library().get_xattr(disk_number(), name, buffer);
}

Result<> ExtInode::set_xattr(std::string_view name, std::span<const u8> value, int flags)
{
    if (name.starts_with("user.") && !is_regular() && !is_directory())
        return Errno::EPERM;
    Locked lock(ext().lock());
    TRY(ext().begin());
    TRY(ext().require_metadata_room());
    return ext().library().set_xattr(disk_number(), name, value, flags);
}

Result<> ExtInode::remove_xattr(std::string_view name)
{
    Locked lock(ext().lock());
    TRY(ext().begin());
    return ext().library().remove_xattr(disk_number(), name);
}

Result<usize> ExtInode::list_xattrs(std::span<u8> buffer)
{
    Locked lock(ext().lock());
    return ext().library().list_xattrs(disk_number(), buffer);
}

} // namespace eremite::ext
