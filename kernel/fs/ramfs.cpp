#include "fs/ramfs.h"

#include "fs/mount.h"
#include "sched/clock.h"

namespace eremite {

namespace {

constexpr u32 k_seal_seal = 1;
constexpr u32 k_seal_shrink = 2;
constexpr u32 k_seal_grow = 4;
constexpr u32 k_seal_write = 8;
constexpr u32 k_seal_future_write = 16;
constexpr i64 k_tmpfs_magic = 0x01021994;

class RamSymlink final : public RamInode {
public:
    RamSymlink(RamFileSystem& file_system, String target)
        : RamInode(file_system, abi::k_s_iflnk | 0777)
        , m_target(std::move(target))
    {
        Locked lock(m_attributes_lock);
        m_attributes.size = m_target.size();
    }
    Result<String> read_link() override { return String::create(m_target); }

private:
    String m_target;
};

/// Devices, FIFOs and sockets.
class RamNode final : public RamInode {
public:
    RamNode(RamFileSystem& file_system, u32 mode, u64 device)
        : RamInode(file_system, mode)
    {
        set_special_device(device);
    }
};

} // namespace

RamFileSystem::RamFileSystem(std::string_view name, u64 limit)
    : m_name(name)
{
    m_quota.limit.store(limit / k_page_size, std::memory_order_relaxed);
}

RamFileSystem::~RamFileSystem() = default;

Result<RefPtr<RamFileSystem>> RamFileSystem::create(std::string_view name, u64 limit)
{
    RefPtr<RamFileSystem> result = TRY(make_ref<RamFileSystem>(name, limit));
    result->m_root = TRY(make_ref<RamDirectory>(*result, abi::k_s_ifdir | 0755));
    return result;
}

Result<RefPtr<Inode>> RamFileSystem::root()
{
    return RefPtr<Inode>(m_root);
}

void RamFileSystem::unmounted()
{
    RefPtr<RamDirectory> root = std::move(m_root);
    if (root)
        root->clear();
}

Result<> RamFileSystem::statfs(abi::StatFs& statistics)
{
    const u64 limit = m_quota.limit.load(std::memory_order_relaxed);
    const u64 used = m_quota.used.load(std::memory_order_relaxed);
    statistics.type = k_tmpfs_magic;
    statistics.block_size = statistics.fragment_size = k_page_size;
    statistics.blocks = limit;
    statistics.free_blocks = statistics.available_blocks = limit > used ? limit - used : 0;
    statistics.files = limit;
    const u64 files = m_file_count.load(std::memory_order_relaxed);
    statistics.free_files = limit > files ? limit - files : 0;
    return {};
}

Result<RefPtr<RamFile>> RamFileSystem::create_file(u32 mode)
{
    return make_ref<RamFile>(*this, abi::k_s_ifreg | (mode & 07777));
}

Result<RefPtr<Inode>> RamFileSystem::create_node(u32 mode, u64 device, std::string_view link_target)
{
    switch (mode & abi::k_s_ifmt) {
    case abi::k_s_ifreg:
        return RefPtr<Inode>(TRY(create_file(mode)));
    case abi::k_s_ifdir:
        return RefPtr<Inode>(TRY(make_ref<RamDirectory>(*this, mode)));
    case abi::k_s_iflnk:
        return RefPtr<Inode>(TRY(make_ref<RamSymlink>(*this, TRY(String::create(link_target)))));
    case abi::k_s_ifchr:
    case abi::k_s_ifblk:
    case abi::k_s_ififo:
    case abi::k_s_ifsock:
        return RefPtr<Inode>(TRY(make_ref<RamNode>(*this, mode, device)));
    default:
        return Errno::EINVAL;
    }
}

RamInode::RamInode(RamFileSystem& file_system, u32 mode)
    : Inode(file_system, file_system.next_number(), mode)
{
    file_system.file_count().fetch_add(1, std::memory_order_relaxed);
}

RamInode::~RamInode()
{
    ram().file_count().fetch_sub(1, std::memory_order_relaxed);
}

void RamInode::change_link_count(int by)
{
    change_link_count(by, realtime_now());
}

void RamInode::change_link_count(int by, Nanoseconds now)
{
    Locked lock(m_attributes_lock);
    m_attributes.link_count += static_cast<u32>(by);
    m_attributes.change_time = now;
}

void RamInode::set_times(Nanoseconds time)
{
    Locked lock(m_attributes_lock);
    m_attributes.access_time = m_attributes.modify_time = m_attributes.change_time = m_attributes.birth_time = time;
    times_changed();
}

void RamInode::set_special_device(u64 device)
{
    Locked lock(m_attributes_lock);
    m_attributes.special_device = device;
}

Result<usize> RamInode::get_xattr(std::string_view name, std::span<u8> buffer)
{
    Locked lock(m_xattr_lock);
    return m_xattrs.get(name, buffer);
}

Result<> RamInode::set_xattr(std::string_view name, std::span<const u8> value, int flags)
{
    if (name.starts_with("user.") && !is_regular() && !is_directory())
        return Errno::EPERM;
    Locked lock(m_xattr_lock);
    return m_xattrs.set(name, value, flags);
}

Result<> RamInode::remove_xattr(std::string_view name)
{
    Locked lock(m_xattr_lock);
    return m_xattrs.remove(name);
}

Result<usize> RamInode::list_xattrs(std::span<u8> buffer)
{
    Locked lock(m_xattr_lock);
    return m_xattrs.list(buffer);
}

RamFile::RamFile(RamFileSystem& file_system, u32 mode)
    : RamInode(file_system, mode)
    , m_pages(nullptr, 0, &file_system.quota())
    , m_seals(k_seal_seal)
{
}

u64 RamFile::size()
{
    return m_contents.load(std::memory_order_acquire) ? m_contents_size : m_pages.size();
}

Result<> RamFile::attributes(Attributes& result)
{
    const u64 current = size();
    const u64 pages = m_contents.load(std::memory_order_relaxed) ? align_up(current, k_page_size) / k_page_size
                                                                 : m_pages.page_count();
    Locked lock(m_attributes_lock);
    result = m_attributes;
    result.size = current;
    result.blocks = pages * (k_page_size / 512);
    return {};
}

void RamFile::set_contents(std::span<const u8> contents)
{
    if (contents.empty())
        return;
    m_contents_size = contents.size();
    m_contents.store(contents.data(), std::memory_order_release);
}

Result<> RamFile::own_contents()
{
    if (!m_contents.load(std::memory_order_acquire)) [[likely]]
        return {};
    Locked lock(m_contents_lock);
    const u8* contents = m_contents.load(std::memory_order_relaxed);
    if (!contents)
        return {};
#pragma clang unsafe_buffer_usage begin // the span that set_contents() was given
    const std::span<u8> source(const_cast<u8*>(contents), m_contents_size);
#pragma clang unsafe_buffer_usage end
    usize done = 0;
    while (done < source.size()) {
        auto copied = m_pages.write(done, IoBuffer(source.subspan(done)));
        if (copied.is_error()) {
            static_cast<void>(m_pages.resize(0));
            return copied.error();
        }
        done += copied.value();
    }
    m_contents.store(nullptr, std::memory_order_release);
    return {};
}

Result<usize> RamFile::read(u64, u64 offset, IoBuffer buffer)
{
    const u8* contents = m_contents.load(std::memory_order_acquire);
    if (!contents) [[likely]]
        return m_pages.read(offset, buffer);
    if (offset >= m_contents_size)
        return 0;
#pragma clang unsafe_buffer_usage begin // the span that set_contents() was given
    const auto source = std::span(contents, m_contents_size).subspan(offset);
#pragma clang unsafe_buffer_usage end
    const usize count = std::min(source.size(), buffer.size());
    TRY(buffer.write(source.first(count)));
    return count;
}

Result<usize> RamFile::write(u64, u64 offset, IoBuffer buffer)
{
    if (is_sealed(k_seal_write | k_seal_future_write))
        return Errno::EPERM;
    TRY(own_contents());
    if (is_sealed(k_seal_grow) && offset + buffer.size() > m_pages.size()) {
        if (offset >= m_pages.size())
            return Errno::EPERM;
        buffer = buffer.first(m_pages.size() - offset);
    }
    return m_pages.write(offset, buffer);
}

Result<> RamFile::truncate(u64, u64 length)
{
    const u64 now = size();
    if ((length < now && is_sealed(k_seal_shrink)) || (length > now && is_sealed(k_seal_grow)))
        return Errno::EPERM;
    if (length == 0) {
        Locked lock(m_contents_lock);
        m_contents.store(nullptr, std::memory_order_release);
    } else {
        TRY(own_contents());
    }
    return m_pages.resize(length);
}

Result<> RamFile::allocate(u64, int mode, u64 offset, u64 length)
{
    if (is_sealed(k_seal_write | k_seal_future_write) || (is_sealed(k_seal_grow) && offset + length > size()))
        return Errno::EPERM;
    TRY(own_contents());
    if ((mode & (abi::k_falloc_punch_hole | abi::k_falloc_zero_range)) != 0)
        TRY(m_pages.punch_hole(offset, length));
    if ((mode & abi::k_falloc_punch_hole) == 0)
        TRY(m_pages.allocate(offset, length));
    if ((mode & abi::k_falloc_keep_size) == 0 && offset + length > m_pages.size())
        TRY(m_pages.resize(offset + length));
    return {};
}

Result<u64> RamFile::seek_data(u64, u64 offset, bool hole)
{
    TRY(own_contents());
    return hole ? m_pages.next_hole(offset) : m_pages.next_data(offset);
}

bool RamFile::is_write_sealed() const
{
    return is_sealed(k_seal_write | k_seal_future_write);
}

Result<PageCache*> RamFile::page_cache()
{
    TRY(own_contents());
    return &m_pages;
}

void RamFile::allow_sealing(bool allow)
{
    m_seals.store(allow ? 0 : k_seal_seal, std::memory_order_relaxed);
}

Result<long> RamFile::control(int command, u64 argument)
{
    if (command == abi::k_f_get_seals)
        return m_seals.load(std::memory_order_relaxed);
    if (command != abi::k_f_add_seals || argument > 31)
        return Errno::EINVAL;
    const auto seals = static_cast<u32>(argument);
    Locked lock(mutex());
    if (is_sealed(k_seal_seal))
        return Errno::EPERM;
    if ((seals & k_seal_write) != 0 && m_pages.is_mapped())
        return Errno::EBUSY;
    m_seals.fetch_or(seals, std::memory_order_relaxed);
    return 0;
}

RamDirectory::RamDirectory(RamFileSystem& file_system, u32 mode)
    : RamInode(file_system, mode)
{
    Locked lock(m_attributes_lock);
    m_attributes.link_count = 2;
    m_attributes.size = 40;
}

RamDirectory::~RamDirectory()
{
    clear();
}

/// Puts what the directory holds in front of `list`; nothing is left here.
void RamDirectory::move_entries_to(Entry*& list)
{
    m_by_position.visit(0, [&](u64, u64 word) {
        auto* entry = reinterpret_cast<Entry*>(word);
        entry->next = std::exchange(list, entry);
        return true;
    });
    m_by_position.clear();
    m_buckets = {};
    m_count = 0;
}

void RamDirectory::clear()
{
    // Not by recursion, for a tree may be deeper than the stack.
    Entry* list = nullptr;
    move_entries_to(list);
    while (list) {
        const auto entry = OwnPtr<Entry>::adopt(std::exchange(list, list->next));
        if (entry->inode->is_directory())
            static_cast<RamDirectory&>(*entry->inode).move_entries_to(list);
    }
}

RamDirectory::Entry* RamDirectory::find(std::string_view name)
{
    if (m_buckets.is_empty())
        return nullptr;
    const PackedName packed(name);
    for (Entry* entry = bucket_of(packed); entry; entry = entry->next) {
        if (entry->packed.hash != packed.hash || entry->packed.fits != packed.fits)
            continue;
        if (packed.fits ? entry->packed.is_same(packed) : entry->long_name.view() == name)
            return entry;
    }
    return nullptr;
}

void RamDirectory::remove(Entry& entry, Nanoseconds now, int links)
{
    Entry** link = &bucket_of(entry.packed);
    while (*link != &entry)
        link = &(*link)->next;
    *link = entry.next;
    m_by_position.erase(entry.position);
    --m_count;
    static_cast<void>(OwnPtr<Entry>::adopt(&entry));
    changed(now, links);
}

void RamDirectory::changed(Nanoseconds now, int links)
{
    Locked lock(m_attributes_lock);
    m_attributes.modify_time = m_attributes.change_time = now;
    times_changed();
    m_attributes.link_count += static_cast<u32>(links);
}

/// Twice as many buckets. ENOMEM, with all as it was.
Result<> RamDirectory::grow()
{
    Vector<Entry*> larger;
    TRY(larger.try_resize(std::max<usize>(8, m_buckets.size() * 2)));
    std::swap(m_buckets, larger);
    for (Entry* entry : larger.span()) {
        while (entry) {
            Entry* next = entry->next;
            Entry*& bucket = bucket_of(entry->packed);
            entry->next = std::exchange(bucket, entry);
            entry = next;
        }
    }
    return {};
}

Result<> RamDirectory::add(std::string_view name, RefPtr<Inode> inode)
{
    if (m_count >= m_buckets.size()) {
        // Longer chains will do when memory is short.
        if (auto grown = grow(); grown.is_error() && m_buckets.is_empty())
            return grown;
    }
    OwnPtr<Entry> entry = TRY(make<Entry>());
    entry->packed = PackedName(name);
    if (!entry->packed.fits)
        entry->long_name = TRY(String::create(name));
    const bool is_directory = inode->is_directory();
    u64* const place = TRY(m_by_position.ensure(m_next_position));
    entry->inode = std::move(inode);
    entry->position = m_next_position++;
    Entry& added = *entry.leak();
    *place = reinterpret_cast<u64>(&added);
    added.next = std::exchange(bucket_of(added.packed), &added);
    ++m_count;
    changed(realtime_now(), is_directory ? 1 : 0);
    return {};
}

Result<Inode::Found> RamDirectory::lookup(std::string_view name)
{
    Entry* entry = find(name);
    if (!entry)
        return Errno::ENOENT;
    return Found { .inode = entry->inode };
}

Result<Inode::Found> RamDirectory::create(std::string_view name, u32 mode, u64 device)
{
    u32 gid = 0;
    {
        Locked lock(m_attributes_lock);
        if ((m_attributes.mode & 02000) != 0) {
            gid = m_attributes.gid;
            if ((mode & abi::k_s_ifmt) == abi::k_s_ifdir)
                mode |= 02000;
        }
    }
    RefPtr<Inode> inode = TRY(ram().create_node(mode, device, {}));
    if (gid != 0)
        TRY(inode->set_attributes({ .what = AttributeChange::Gid, .gid = gid }));
    TRY(add(name, inode));
    return Found { .inode = std::move(inode) };
}

Result<Inode::Found> RamDirectory::create_symlink(std::string_view name, std::string_view target)
{
    RefPtr<Inode> inode = TRY(ram().create_node(abi::k_s_iflnk, 0, target));
    TRY(add(name, inode));
    return Found { .inode = std::move(inode) };
}

Result<> RamDirectory::link(std::string_view name, Inode& inode)
{
    TRY(add(name, RefPtr<Inode>(&inode)));
    static_cast<RamInode&>(inode).change_link_count(1);
    return {};
}

Result<> RamDirectory::unlink(std::string_view name, Inode& inode)
{
    Entry* entry = find(name);
    if (!entry || entry->inode.get() != &inode)
        return Errno::ENOENT;
    const Nanoseconds now = realtime_now();
    remove(*entry, now, 0);
    static_cast<RamInode&>(inode).change_link_count(-1, now);
    return {};
}

Result<> RamDirectory::remove_directory(std::string_view name, Inode& inode)
{
    auto& directory = static_cast<RamDirectory&>(inode);
    if (!directory.is_empty())
        return Errno::ENOTEMPTY;
    Entry* entry = find(name);
    if (!entry || entry->inode.get() != &inode)
        return Errno::ENOENT;
    const Nanoseconds now = realtime_now();
    remove(*entry, now, -1);
    directory.change_link_count(-2, now);
    return {};
}

Result<> RamDirectory::rename(
    std::string_view name, Inode& inode, Inode& target, std::string_view new_name, Inode* replaced, bool exchange)
{
    auto& directory = static_cast<RamDirectory&>(target);
    Entry* from = find(name);
    if (!from || from->inode.get() != &inode)
        return Errno::ENOENT;
    Entry* to = directory.find(new_name);
    const Nanoseconds now = realtime_now();
    if (to && to->inode.get() != replaced)
        return Errno::ENOENT;
    if (exchange) {
        if (!to)
            return Errno::ENOENT;
        std::swap(from->inode, to->inode);
        const int moved = static_cast<int>(inode.is_directory()) - static_cast<int>(replaced->is_directory());
        changed(now, &directory == this ? 0 : -moved);
        directory.changed(now, &directory == this ? 0 : moved);
        inode.touch_change();
        replaced->touch_change();
        return {};
    }
    if (to) {
        if (replaced->is_directory() && !static_cast<RamDirectory&>(*replaced).is_empty())
            return Errno::ENOTEMPTY;
        // In place: nothing that could fail is left.
        to->inode = RefPtr<Inode>(&inode);
        if (replaced->is_directory()) {
            directory.changed(now, -1);
            static_cast<RamInode&>(*replaced).change_link_count(-2, now);
        } else {
            static_cast<RamInode&>(*replaced).change_link_count(-1, now);
        }
        directory.changed(now, inode.is_directory() ? 1 : 0);
    } else {
        TRY(directory.add(new_name, RefPtr<Inode>(&inode)));
    }
    remove(*from, now, inode.is_directory() ? -1 : 0);
    inode.touch_change();
    return {};
}

Result<RefPtr<Inode>> RamDirectory::create_unnamed(u32 mode)
{
    RefPtr<RamFile> file = TRY(ram().create_file(mode));
    file->change_link_count(-1);
    return RefPtr<Inode>(std::move(file));
}

Result<> RamDirectory::read_directory(u64, u64 position, u64 parent, DirectorySink& sink)
{
    Locked lock(mutex());
    constexpr u8 directory_type = abi::k_s_ifdir >> 12;
    if (position == 0 && !sink.add({ ".", number(), directory_type, 1 }))
        return {};
    if (position <= 1 && !sink.add({ "..", parent, directory_type, 2 }))
        return {};
    m_by_position.visit(std::max<u64>(position, 2), [&](u64 number, u64 word) {
        const auto& entry = *reinterpret_cast<const Entry*>(word);
        const auto type = static_cast<u8>(entry.inode->type() >> 12);
        [[clang::always_inline]] return sink.add({ entry.name(), entry.inode->number(), type, number + 1 });
    });
    return {};
}

namespace {

Result<RefPtr<FileSystem>> mount_tmpfs(std::string_view, std::string_view options)
{
    u64 limit = default_memory_limit();
    while (!options.empty()) {
        const usize end = std::min(options.find(','), options.size());
        std::string_view option = options.substr(0, end);
        options.remove_prefix(std::min(end + 1, options.size()));
        if (!option.starts_with("size="))
            continue;
        option.remove_prefix(5);
        u64 value = 0;
        while (!option.empty() && option.front() >= '0' && option.front() <= '9') {
            if (value > UINT64_MAX / 16)
                return Errno::EINVAL;
            value = value * 10 + static_cast<u64>(option.front() - '0');
            option.remove_prefix(1);
        }
        if (option == "k" || option == "K")
            value <<= 10;
        else if (option == "m" || option == "M")
            value <<= 20;
        else if (option == "g" || option == "G")
            value <<= 30;
        else if (!option.empty())
            return Errno::EINVAL;
        limit = value == 0 ? UINT64_MAX : value;
    }
    return RefPtr<FileSystem>(TRY(RamFileSystem::create("tmpfs", limit)));
}

constinit FileSystemType s_tmpfs { .name = "tmpfs", .mount = mount_tmpfs };
constinit FileSystemType s_ramfs { .name = "ramfs", .mount = mount_tmpfs };

} // namespace

void register_ramfs()
{
    register_file_system_type(s_tmpfs);
    register_file_system_type(s_ramfs);
}

} // namespace eremite
