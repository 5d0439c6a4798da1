#include "arch/clock.h"
#include "base/component.h"
#include "base/log.h"
#include "fs/ext/ext.h"
#include "fs/mount.h"
#include "sched/thread.h"

#include <algorithm>

namespace eremite::ext {

namespace {

/// Blocks that data can't have: so many may be needed to say where data are, when the disk is all but full.
constexpr u64 k_blocks_for_metadata = 64;
/// As many as one operation takes at most.
constexpr u64 k_blocks_for_operation = 16;
/// Freed blocks are to be had only after a commit; so many at most wait for one.
constexpr u64 k_most_pending = 1u << 18;

/// How long a change may wait for the disk if nobody asks for it: as long as on Linux.
constexpr Nanoseconds k_write_back_interval = Nanoseconds::from_seconds(5);

/// Where ext2's superblock is, and what we look at before the library does.
constexpr u64 k_superblock_at = 1024;
constexpr usize k_at_log_block_size = 24;
constexpr usize k_at_magic = 56;

Result<u32> block_size_of(BlockDevice& device)
{
    Vector<u8> super;
    TRY(super.try_resize(1024));
    TRY(device.read(k_superblock_at / BlockDevice::k_sector_size, super.span()));
    const u32 log = super[k_at_log_block_size];
    if (super[k_at_magic] != 0x53 || super[k_at_magic + 1] != 0xef) {
        log_error("ext: there is no ext2, ext3 or ext4 on {}", device.name());
        return Errno::EINVAL;
    }
    if (log > 2) {
        log_error("ext: the blocks of {} are larger than a page", device.name());
        return Errno::EINVAL;
    }
    return 1024u << log;
}

} // namespace

Result<RefPtr<ExtFileSystem>> ExtFileSystem::create(BlockDevice& device, bool read_only, bool discards)
{
    RefPtr<ExtFileSystem> result = TRY(make_ref<ExtFileSystem>());
    result->m_discards = discards && device.discard_granularity() != 0;
    TRY(result->bring_up(device, read_only));
    return result;
}

Result<> ExtFileSystem::bring_up(BlockDevice& device, bool read_only)
{
    m_block_size = TRY(block_size_of(device));
    Locked lock(m_lock);
    m_cache = TRY(BlockCache::create(device, m_block_size));
    m_library = TRY(Library::open(*m_cache, !device.is_read_only()));
    set_read_only(read_only || device.is_read_only());
    if (device.is_read_only())
        return {};
    // What replaying has changed: everything else before the superblock and the journal say that it is done.
    Vector<Journal::Piece> pieces = TRY(m_library->journal_pieces());
    TRY(m_library->flush());
    const std::array<u64, 2> late { m_library->super_block(), pieces.is_empty() ? 0 : pieces[0].first };
    TRY(m_cache->commit(late));
    if (read_only) {
        m_is_down = true;
        return {};
    }
    if (!pieces.is_empty()) {
        m_library->set_mounted(true);
        TRY(m_library->flush());
        TRY(m_cache->commit());
        m_cache->set_journal(
            TRY(Journal::create(device, m_block_size, std::move(pieces), m_library->has_large_numbers())));
    } else {
        m_library->set_mounted(true);
        TRY(m_library->flush());
        TRY(m_cache->commit());
    }
    TRY(free_orphans());
    ref(); // the thread's
    if (auto thread = Thread::create_kernel("ext", write_back_regularly, this); thread.is_error()) {
        unref();
        return thread.error();
    }
    return {};
}

void ExtFileSystem::write_back_regularly(void* self)
{
    const auto file_system = RefPtr<ExtFileSystem>::adopt(static_cast<ExtFileSystem*>(self));
    while (true) {
        {
            Locked lock(file_system->m_lock);
            const auto is_over
                = [&] NO_THREAD_SAFETY_ANALYSIS { return file_system->m_is_down || file_system->m_gave_up; };
            static_cast<void>(file_system->m_went_down
                    .wait_until(file_system->m_lock, is_over, arch::now() + k_write_back_interval, Interruptible::No)
                    .is_error());
            // Or it could not be mounted after all, and nobody else knows it.
            if (is_over() || file_system->reference_count() == 1)
                return;
        }
        // An error stays with the file, whose pages stay dirty; one of the metadata is logged.
        static_cast<void>(file_system->write_back(false).is_error());
    }
}

/// Inodes that were unlinked and in use at a crash.
Result<> ExtFileSystem::free_orphans()
{
    const u64 most = m_library->statistics().inodes;
    for (u64 count = 0; m_library->first_orphan() != 0; ++count) {
        const u32 number = m_library->first_orphan();
        if (count > most || number > most) {
            log_error("ext: the list of orphans is damaged");
            return Errno::EIO;
        }
        const InodeData data = TRY(m_library->read_inode(number));
        TRY(m_library->remove_orphan(number));
        if (data.link_count == 0)
            TRY(m_library->free_inode(number));
        else if ((data.mode & abi::k_s_ifmt) == abi::k_s_ifreg) // was being cut
            TRY(m_library->punch(number, (data.size + m_block_size - 1) / m_block_size, ~u64 { 0 }));
    }
    return {};
}

Errno ExtFileSystem::give_up(Errno error)
{
    if (!m_gave_up) {
        log_error("ext: {}: nothing is written to the disk any more; run e2fsck on it", error);
        m_gave_up = true;
        set_read_only(true);
    }
    return error;
}

Result<> ExtFileSystem::begin()
{
    if (m_gave_up || is_read_only() || m_is_down)
        return Errno::EROFS;
    if (m_cache->dirty_count() > m_cache->largest_commit() / 2 || m_library->pending_blocks() > k_most_pending)
        return commit();
    return {};
}

/// What was freed by the commit that is on the disk now.
void ExtFileSystem::discard(std::span<const Library::Range> freed)
{
    BlockDevice& device = m_cache->device();
    const u64 granularity = device.discard_granularity();
    const u64 sectors = m_block_size / BlockDevice::k_sector_size;
    for (const Library::Range& range : freed) {
        const u64 first = (range.first * sectors + granularity - 1) / granularity * granularity;
        const u64 end = (range.first + range.count) * sectors / granularity * granularity;
        if (first >= end)
            continue;
        if (auto done = device.discard(first, end - first); done.is_error()) {
            log_warning("ext: {} cannot be told what is free: {}", device.name(), done.error());
            m_discards = false;
            return;
        }
    }
}

Result<> ExtFileSystem::commit()
{
    if (m_gave_up)
        return Errno::EIO;
    const Vector<Library::Range> freed = m_library->release_freed();
    if (auto flushed = m_library->flush(); flushed.is_error())
        return give_up(flushed.error());
    const std::array<u64, 1> late { m_library->super_block() };
    if (auto committed = m_cache->commit(late); committed.is_error())
        return give_up(committed.error());
    if (m_discards)
        discard(freed.span());
    return {};
}

Result<> ExtFileSystem::require_metadata_room()
{
    if (m_library->statistics().free_blocks <= k_blocks_for_operation && m_library->pending_blocks() != 0)
        TRY(commit());
    return m_library->statistics().free_blocks > k_blocks_for_operation ? Result<>() : Errno::ENOSPC;
}

bool ExtFileSystem::has_room(u64 blocks)
{
    const u64 free = m_library->statistics().free_blocks;
    const u64 per_page = k_page_size / m_block_size;
    return free > k_blocks_for_metadata + m_reserved * per_page + blocks;
}

Result<> ExtFileSystem::reserve(u64 pages)
{
    const u64 blocks = pages * (k_page_size / m_block_size);
    {
        Locked lock(m_lock);
        if (m_gave_up)
            return Errno::EROFS;
        // All files together may have an eighth of the memory dirty.
        if (has_room(blocks) && m_reserved < frame_statistics().total / 8) {
            m_reserved += pages;
            return {};
        }
    }
    // What is reserved may be far more than what is needed, and what is freed not yet free.
    TRY(sync());
    Locked lock(m_lock);
    m_reserved = 0;
    if (!has_room(blocks))
        return Errno::ENOSPC;
    m_reserved = pages;
    return {};
}

void ExtFileSystem::pages_written(u64 pages)
{
    Locked lock(m_lock);
    m_reserved -= std::min(m_reserved, pages);
}

Result<RefPtr<ExtInode>> ExtFileSystem::inode(u32 number, bool may_be_unnamed)
{
    while (true) {
        {
            Locked lock(m_table_lock);
            auto at = m_table.find(number);
            // One that is on its way out writes back first: what is on the disk is not yet what it was.
            const auto is_gone = [&] NO_THREAD_SAFETY_ANALYSIS {
                at = m_table.find(number);
                return at == m_table.end() || at->inode->try_ref();
            };
            static_cast<void>(
                m_gone.wait_until(m_table_lock, is_gone, Nanoseconds::max(), Interruptible::No).is_error());
            if (at != m_table.end())
                return RefPtr<ExtInode>::adopt(at->inode);
        }
        InodeData data;
        {
            Locked lock(m_lock);
            data = TRY(m_library->read_inode(number));
        }
        if ((data.link_count == 0 && !may_be_unnamed) || (data.mode & abi::k_s_ifmt) == 0) {
            log_error("ext: inode {} has a name, but is not in use", number);
            return Errno::EIO;
        }
        RefPtr<ExtInode> made = TRY(make_ref<ExtInode>(*this, number, data));
        Locked lock(m_table_lock);
        if (m_table.find(number) != m_table.end())
            continue; // another thread was first
        m_table.insert(made->m_entry);
        return made;
    }
}

void ExtFileSystem::inode_gone(ExtInode& inode)
{
    {
        Locked lock(m_table_lock);
        if (!inode.m_entry.hook.is_linked())
            return;
        m_table.erase(m_table.iterator_to(inode.m_entry));
    }
    m_gone.wake_all();
}

Result<RefPtr<Inode>> ExtFileSystem::root()
{
    RefPtr<ExtInode> root = TRY(inode(Library::k_root));
    if (!root->is_directory())
        return Errno::EIO;
    return RefPtr<Inode>(std::move(root));
}

Result<> ExtFileSystem::statfs(abi::StatFs& statistics)
{
    Locked lock(m_lock);
    const Statistics now = m_library->statistics();
    const u64 per_page = k_page_size / m_block_size;
    const u64 taken = std::min(now.free_blocks, m_reserved * per_page + k_blocks_for_metadata);
    statistics.type = 0xef53;
    statistics.block_size = m_block_size;
    statistics.fragment_size = m_block_size;
    statistics.blocks = now.blocks;
    statistics.free_blocks = now.free_blocks + m_library->pending_blocks();
    statistics.available_blocks = now.free_blocks - taken + m_library->pending_blocks();
    statistics.files = now.inodes;
    statistics.free_files = now.free_inodes;
    statistics.name_length = abi::k_name_max;
    return {};
}

/// Every file's dirty pages, to their places.
Result<> ExtFileSystem::write_back_data()
{
    Vector<RefPtr<ExtInode>> inodes;
    {
        Locked lock(m_table_lock);
        for (Hook& entry : m_table) {
            if (entry.inode->has_dirty_pages() && entry.inode->try_ref())
                TRY(inodes.try_append(RefPtr<ExtInode>::adopt(entry.inode)));
        }
    }
    Result<> result;
    for (auto& inode : inodes) {
        if (auto written = inode->write_back(); written.is_error() && !result.is_error())
            result = written.error();
    }
    return result;
}

Result<> ExtFileSystem::sync()
{
    return write_back(true);
}

Result<> ExtFileSystem::write_back(bool even_if_unchanged)
{
    Result<> result = write_back_data();
    Vector<RefPtr<ExtInode>> inodes;
    {
        Locked lock(m_table_lock);
        for (Hook& entry : m_table) {
            if (entry.inode->try_ref())
                TRY(inodes.try_append(RefPtr<ExtInode>::adopt(entry.inode)));
        }
    }
    Locked lock(m_lock);
    if (m_gave_up)
        return Errno::EIO;
    if (is_read_only() || m_is_down)
        return result;
    for (auto& inode : inodes) {
        if (auto flushed = inode->flush_attributes(); flushed.is_error())
            return give_up(flushed.error());
    }
    if (!even_if_unchanged && m_cache->dirty_count() == 0 && m_library->pending_blocks() == 0)
        return result;
    if (auto committed = commit(); committed.is_error())
        return committed;
    return result;
}

Result<> ExtFileSystem::shut_down()
{
    TRY(sync());
    Locked lock(m_lock);
    if (m_is_down || m_gave_up)
        return {};
    // From here on the disk is as after an orderly unmounting; whoever runs still can't change it.
    m_library->set_mounted(false);
    const Result<> result = commit();
    m_is_down = true;
    m_went_down.wake_all();
    set_read_only(true);
    return result;
}

void ExtFileSystem::unmounted()
{
    if (auto result = shut_down(); result.is_error())
        log_error("ext: {} at unmounting: data may be lost", result.error());
}

namespace {

Result<RefPtr<FileSystem>> mount_ext(std::string_view source, std::string_view options)
{
    if (source.starts_with("/dev/"))
        source.remove_prefix(5);
    BlockDevice* device = find_block_device(source);
    if (!device) {
        log_error("ext: there is no disk {}", source);
        return Errno::ENODEV;
    }
    bool read_only = false;
    bool discards = false;
    while (!options.empty()) {
        const std::string_view option = options.substr(0, options.find(','));
        options.remove_prefix(std::min(option.size() + 1, options.size()));
        read_only = read_only || option == "ro";
        discards = discards || option == "discard";
        if (option != "ro" && option != "rw" && option != "discard")
            log_warning("ext: the option {} is not known", option);
    }
    return RefPtr<FileSystem>(TRY(ExtFileSystem::create(*device, read_only, discards)));
}

constinit FileSystemType s_ext2 { .name = "ext2", .mount = mount_ext };
constinit FileSystemType s_ext3 { .name = "ext3", .mount = mount_ext };
constinit FileSystemType s_ext4 { .name = "ext4", .mount = mount_ext };

Result<> initialize_ext()
{
    ER_NEEDS(virtio_blk);
    register_file_system_type(s_ext2);
    register_file_system_type(s_ext3);
    register_file_system_type(s_ext4);
    return {};
}

} // namespace

} // namespace eremite::ext

ER_COMPONENT(ext, eremite::Stage::Subsystem, eremite::ext::initialize_ext);
