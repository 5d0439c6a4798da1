#include "fs/mount.h"

#include "fs/path.h"
#include "mm/frames.h"

namespace eremite {

namespace {

constinit std::atomic<FileSystemType*> s_types { nullptr };

} // namespace

constinit Mutex Mounts::s_lock;

void register_file_system_type(FileSystemType& type)
{
    FileSystemType* first = s_types.load(std::memory_order_relaxed);
    for (FileSystemType* at = first; at; at = at->next) {
        if (at == &type)
            return;
    }
    do {
        type.next = first;
    } while (!s_types.compare_exchange_weak(first, &type, std::memory_order_release));
}

FileSystemType* find_file_system_type(std::string_view name)
{
    FileSystemType* type = s_types.load(std::memory_order_acquire);
    while (type && type->name != name)
        type = type->next;
    return type;
}

u64 default_memory_limit()
{
    return frame_statistics().total / 2 * k_page_size;
}

Mounts::MountList& Mounts::list()
{
    // The list's head points to itself: made at first use, there are no global constructors.
    alignas(MountList) static constinit std::array<std::byte, sizeof(MountList)> s_storage {};
    static constinit MountList* s_list = nullptr;
    if (!s_list)
        s_list = ::new (s_storage.data()) MountList;
    return *s_list;
}

Result<> Mounts::add(RefPtr<FileSystem> file_system, RefPtr<Dentry> root, RefPtr<Dentry> point, std::string_view source)
{
    OwnPtr<Mount> mount = TRY(make<Mount>());
    mount->source = TRY(String::create(source));
    mount->file_system = std::move(file_system);
    mount->root = root;
    mount->point = point;
    Locked lock(s_lock);
    list().push_back(*mount.leak());
    if (point)
        DentryCache::set_mounted(*point, *root);
    return {};
}

Result<RefPtr<Dentry>> Mounts::mount_root(RefPtr<FileSystem> file_system, std::string_view source)
{
    RefPtr<Dentry> root = TRY(DentryCache::create_root(TRY(file_system->root())));
    TRY(add(std::move(file_system), root, nullptr, source));
    return root;
}

Result<> Mounts::mount(RefPtr<FileSystem> file_system, Dentry& point, std::string_view source)
{
    RefPtr<Dentry> root = TRY(DentryCache::create_root(TRY(file_system->root())));
    if (point.inode().is_directory() != root->inode().is_directory())
        return Errno::ENOTDIR;
    return add(std::move(file_system), std::move(root), RefPtr<Dentry>(&point), source);
}

Result<> Mounts::unmount(Dentry& root, bool lazily)
{
    OwnPtr<Mount> gone;
    {
        Locked lock(s_lock);
        Mount* found = nullptr;
        for (Mount& mount : list()) {
            if (mount.root.get() == &root)
                found = &mount;
        }
        if (!found || !found->point)
            return Errno::EINVAL;
        DentryCache::drop_unused(found->file_system.get());
        for (Mount& mount : list()) {
            if (mount.point && &mount.point->inode().file_system() == found->file_system.get())
                return Errno::EBUSY;
        }
        // The table's reference, the mount point's, and the caller's are the ones that may be left.
        if (!lazily && DentryCache::references(root) > 3)
            return Errno::EBUSY;
        DentryCache::clear_mounted(*found->point, root);
        list().erase(list().iterator_to(*found));
        gone = OwnPtr<Mount>::adopt(found);
    }
    Result<> result = gone->file_system->sync();
    gone->root = nullptr;
    gone->file_system->unmounted();
    return result;
}

Result<> Mounts::sync_all()
{
    Result<> result;
    for_each([&](Mount& mount) {
        if (auto synced = mount.file_system->sync(); synced.is_error() && !result.is_error())
            result = synced.error();
    });
    return result;
}

Result<> Mounts::shut_down_all()
{
    Result<> result;
    for_each([&](Mount& mount) {
        if (auto done = mount.file_system->shut_down(); done.is_error() && !result.is_error())
            result = done.error();
    });
    return result;
}

} // namespace eremite
