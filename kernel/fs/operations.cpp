#include "fs/operations.h"

#include "fs/mount.h"
#include "fs/open_file.h"

namespace eremite {

namespace {

constexpr u32 k_max_create_tries = 8; // against others who make and remove the same name

/// Locks the directory into which something is to be made, and checks that it can be.
class CreationSite {
public:
    CreationSite(PathWalker& walker)
        : m_parent(&walker.parent())
        , m_lock(walker.parent().inode().mutex())
    {
    }

    /// EEXIST, ENOENT, EROFS, ENOTDIR.
    Result<> check_free(std::string_view name)
    {
        if (!m_parent->inode().is_directory())
            return Errno::ENOTDIR;
        auto existing = DentryCache::lookup_locked(*m_parent, name);
        if (!existing.is_error())
            return Errno::EEXIST;
        if (existing.error() != Errno::ENOENT)
            return existing.error();
        if (m_parent->inode().is_dead())
            return Errno::ENOENT;
        if (m_parent->inode().file_system().is_read_only())
            return Errno::EROFS;
        return {};
    }

    Dentry& parent() { return *m_parent; }

private:
    RefPtr<Dentry> m_parent;
    Locked<Mutex> m_lock;
};

constexpr u32 is_dir_bit(const Inode& inode)
{
    return inode.is_directory() ? k_in_isdir : 0;
}

Result<RefPtr<File>> open_found(Dentry& dentry, u64 flags, bool created)
{
    Inode& inode = dentry.inode();
    const u32 access = static_cast<u32>(flags) & abi::k_o_accmode;
    if (inode.is_symlink() && !inode.is_magic_link() && (flags & abi::k_o_path) == 0)
        return (flags & abi::k_o_directory) != 0 ? Errno::ENOTDIR : Errno::ELOOP;
    if ((flags & abi::k_o_directory) != 0 && !inode.is_directory())
        return Errno::ENOTDIR;
    constexpr u64 only_at_open = abi::k_o_creat | abi::k_o_excl | abi::k_o_noctty | abi::k_o_trunc | abi::k_o_cloexec;
    const auto kept = static_cast<u32>((flags & ~only_at_open) | abi::k_o_largefile);
    if ((flags & abi::k_o_path) != 0)
        return PathFile::open(inode, dentry, kept & (abi::k_o_path | abi::k_o_directory | abi::k_o_nofollow));
    const bool writes = access != abi::k_o_rdonly || (flags & abi::k_o_trunc) != 0;
    if (inode.is_directory() && (writes || (flags & abi::k_o_creat) != 0))
        return Errno::EISDIR;
    if (!created && writes && inode.is_regular() && inode.file_system().is_read_only())
        return Errno::EROFS;
    RefPtr<File> file = TRY(inode.open(dentry, kept));
    if (!created && (flags & abi::k_o_trunc) != 0 && inode.is_regular())
        TRY(truncate_inode(inode, 0, 0));
    return file;
}

/// A new regular file at the place that `walker` has come to. EEXIST, ...
Result<RefPtr<Dentry>> create_file(PathWalker& walker, u32 mode)
{
    CreationSite site(walker);
    TRY(site.check_free(walker.last()));
    Inode::Found made = TRY(site.parent().inode().create(walker.last(), mode, 0));
    return DentryCache::insert(site.parent(), walker.last(), std::move(made));
}

} // namespace

Result<RefPtr<File>> open_path(int fd, std::string_view path, u64 flags, u32 mode, u64 resolve_flags)
{
    if ((flags & abi::k_o_path) != 0)
        flags &= abi::k_o_path | abi::k_o_directory | abi::k_o_nofollow | abi::k_o_cloexec;
    const bool creates = (flags & abi::k_o_creat) != 0;
    const bool exclusive = creates && (flags & abi::k_o_excl) != 0;
    const bool follow = (flags & abi::k_o_nofollow) == 0 && !exclusive;
    mode = abi::k_s_ifreg | (mode & 07777 & ~fs_context().umask());

    RefPtr<Dentry> base = path.starts_with('/') ? fs_context().root() : TRY(base_of(fd, path));
    if (!exclusive && resolve_flags == 0 && !path.empty() && (flags & 020000000) == 0) {
        if (RefPtr<Dentry> found = DentryCache::walk(*base, path, follow)) [[likely]]
            return open_found(*found, flags, false);
    }
    if ((resolve_flags & abi::k_resolve_cached) != 0) {
        if (creates || (flags & 020000000) != 0)
            return Errno::EAGAIN;
        RefPtr<Dentry> found = DentryCache::walk(*base, path, follow);
        if (!found)
            return Errno::EAGAIN;
        return open_found(*found, flags, false);
    }
    if ((resolve_flags & (abi::k_resolve_beneath | abi::k_resolve_in_root)) != 0)
        base = TRY(base_of(fd, {}));

    PathWalker walker(std::move(base), resolve_flags);
    TRY(walker.walk_to_parent(path));
    if ((flags & abi::k_o_tmpfile) == abi::k_o_tmpfile) {
        if ((flags & abi::k_o_accmode) == abi::k_o_rdonly)
            return Errno::EINVAL;
        RefPtr<Dentry> directory = TRY(walker.finish(true));
        if (!directory->inode().is_directory())
            return Errno::ENOTDIR;
        if (directory->inode().file_system().is_read_only())
            return Errno::EROFS;
        RefPtr<Inode> inode = TRY(directory->inode().create_unnamed(mode));
        RefPtr<Dentry> dentry = TRY(DentryCache::create_unnamed(*directory, std::move(inode)));
        return open_found(*dentry, flags & ~u64 { abi::k_o_tmpfile }, true);
    }

    // Most often what is to be created isn't there: then one look under the directory's lock says all. A name that
    // turns out to be taken is found as any other is; it may also lead elsewhere, or be gone again.
    bool looks_first = !creates || walker.last_is_special() || walker.has_trailing_slash();
    for (u32 tries = 0; tries < k_max_create_tries; ++tries, looks_first = true) {
        if (looks_first) {
            auto found = walker.finish(follow);
            if (!found.is_error()) {
                if (exclusive)
                    return Errno::EEXIST;
                return open_found(*found.value(), flags, false);
            }
            if (!creates || !walker.last_is_missing())
                return found.error();
            if (walker.has_trailing_slash())
                return Errno::EISDIR;
        }
        auto made = create_file(walker, mode);
        if (!made.is_error()) {
            notify_event(walker.parent().inode(), k_in_create, walker.last());
            return open_found(*made.value(), flags, true);
        }
        if (made.error() != Errno::EEXIST || exclusive)
            return made.error();
    }
    return Errno::EEXIST;
}

Result<RefPtr<Dentry>> make_node(int fd, std::string_view path, u32 mode, u64 device)
{
    const bool is_directory = (mode & abi::k_s_ifmt) == abi::k_s_ifdir;
    PathWalker walker(TRY(base_of(fd, path)));
    TRY(walker.walk_to_parent(path));
    if (walker.last_is_special())
        return Errno::EEXIST;
    RefPtr<Dentry> dentry;
    {
        CreationSite site(walker);
        TRY(site.check_free(walker.last()));
        if (walker.has_trailing_slash() && !is_directory)
            return Errno::ENOENT;
        const u32 type_and_permissions = (mode & abi::k_s_ifmt) | (mode & 07777 & ~fs_context().umask());
        Inode::Found made = TRY(site.parent().inode().create(walker.last(), type_and_permissions, device));
        dentry = TRY(DentryCache::insert(site.parent(), walker.last(), std::move(made)));
    }
    notify_event(walker.parent().inode(), k_in_create | is_dir_bit(dentry->inode()), walker.last());
    return dentry;
}

Result<> make_symlink(std::string_view target, int fd, std::string_view path)
{
    if (target.empty())
        return Errno::ENOENT;
    PathWalker walker(TRY(base_of(fd, path)));
    TRY(walker.walk_to_parent(path));
    if (walker.last_is_special())
        return Errno::EEXIST;
    {
        CreationSite site(walker);
        TRY(site.check_free(walker.last()));
        if (walker.has_trailing_slash())
            return Errno::ENOENT;
        Inode::Found made = TRY(site.parent().inode().create_symlink(walker.last(), target));
        static_cast<void>(TRY(DentryCache::insert(site.parent(), walker.last(), std::move(made))));
    }
    notify_event(walker.parent().inode(), k_in_create, walker.last());
    return {};
}

Result<> make_link(Dentry& existing, int fd, std::string_view path)
{
    Inode& inode = existing.inode();
    PathWalker walker(TRY(base_of(fd, path)));
    TRY(walker.walk_to_parent(path));
    if (walker.last_is_special())
        return Errno::EEXIST;
    {
        CreationSite site(walker);
        TRY(site.check_free(walker.last()));
        if (walker.has_trailing_slash())
            return Errno::ENOENT;
        if (&inode.file_system() != &site.parent().inode().file_system())
            return Errno::EXDEV;
        if (inode.is_directory())
            return Errno::EPERM;
        TRY(site.parent().inode().link(walker.last(), inode));
        static_cast<void>(TRY(DentryCache::insert(site.parent(), walker.last(), { .inode = RefPtr<Inode>(&inode) })));
    }
    notify_event(inode, k_in_attrib);
    notify_event(walker.parent().inode(), k_in_create, walker.last());
    return {};
}

Result<> remove_path(int fd, std::string_view path, bool directory)
{
    PathWalker walker(TRY(base_of(fd, path)));
    TRY(walker.walk_to_parent(path));
    if (walker.last_is_special()) {
        if (!directory)
            return Errno::EISDIR;
        return walker.last() == "." ? Errno::EINVAL : walker.last() == ".." ? Errno::ENOTEMPTY : Errno::EBUSY;
    }
    RefPtr<Dentry> parent(&walker.parent());
    RefPtr<Dentry> dentry;
    {
        Locked lock(parent->inode().mutex());
        dentry = TRY(DentryCache::lookup_locked(*parent, walker.last()));
        Inode& inode = dentry->inode();
        if (directory && !inode.is_directory())
            return Errno::ENOTDIR;
        if (!directory && walker.has_trailing_slash())
            return inode.is_directory() ? Errno::EISDIR : Errno::ENOTDIR;
        if (!directory && inode.is_directory())
            return Errno::EISDIR;
        if (parent->inode().file_system().is_read_only())
            return Errno::EROFS;
        if (dentry->mounted())
            return Errno::EBUSY;
        if (directory) {
            Locked inner(inode.mutex());
            TRY(parent->inode().remove_directory(walker.last(), inode));
            inode.set_dead();
        } else {
            TRY(parent->inode().unlink(walker.last(), inode));
        }
        DentryCache::remove(*dentry);
    }
    if (g_file_event_hook.load(std::memory_order_relaxed)) {
        Attributes attributes;
        const bool last = !dentry->inode().attributes(attributes).is_error() && attributes.link_count == 0;
        notify_event(dentry->inode(), last ? k_in_delete_self : k_in_attrib);
        notify_event(parent->inode(), k_in_delete | is_dir_bit(dentry->inode()), walker.last());
    }
    return {};
}

namespace {

/// Both directories' locks, in an order that all renames share.
class DirectoryLocks {
public:
    DirectoryLocks(Inode& first, Inode& second) NO_THREAD_SAFETY_ANALYSIS : m_first(&first < &second ? first : second),
                                                                            m_second(&first < &second ? second : first)
    {
        m_first.mutex().lock();
        if (&m_first != &m_second)
            m_second.mutex().lock();
    }
    ~DirectoryLocks() NO_THREAD_SAFETY_ANALYSIS
    {
        if (&m_first != &m_second)
            m_second.mutex().unlock();
        m_first.mutex().unlock();
    }
    DirectoryLocks(const DirectoryLocks&) = delete;
    DirectoryLocks& operator=(const DirectoryLocks&) = delete;

private:
    Inode& m_first;
    Inode& m_second;
};

struct Renaming {
    PathWalker& from;
    PathWalker& to;
    RefPtr<Dentry> source;
    RefPtr<Dentry> target; // null: free
    bool exchange;
};

/// What rename(2) lists under ERRORS, once both names are known.
Result<> check_rename(const Renaming& renaming)
{
    const Dentry& source = *renaming.source;
    const bool source_is_directory = source.inode().is_directory();
    if (renaming.from.has_trailing_slash() && !source_is_directory)
        return Errno::ENOTDIR;
    if (renaming.to.has_trailing_slash()
        && !(renaming.exchange ? renaming.target->inode().is_directory() : source_is_directory))
        return Errno::ENOTDIR;
    if (renaming.from.parent().inode().file_system().is_read_only())
        return Errno::EROFS;
    if (DentryCache::is_ancestor(*renaming.source, renaming.to.parent()))
        return Errno::EINVAL;
    if (renaming.target) {
        const Dentry& target = *renaming.target;
        if (DentryCache::is_ancestor(*renaming.target, renaming.from.parent()))
            return renaming.exchange ? Errno::EINVAL : Errno::ENOTEMPTY;
        if (!renaming.exchange && source_is_directory && !target.inode().is_directory())
            return Errno::ENOTDIR;
        if (!renaming.exchange && !source_is_directory && target.inode().is_directory())
            return Errno::EISDIR;
        if (target.mounted())
            return Errno::EBUSY;
    } else if (renaming.to.parent().inode().is_dead()) {
        return Errno::ENOENT;
    }
    if (source.mounted())
        return Errno::EBUSY;
    return {};
}

} // namespace

Result<> rename_path(int from_fd, std::string_view from_path, int to_fd, std::string_view to_path, u32 flags)
{
    if ((flags & ~(abi::k_rename_noreplace | abi::k_rename_exchange)) != 0
        || flags == (abi::k_rename_noreplace | abi::k_rename_exchange))
        return Errno::EINVAL;
    const bool exchange = flags == abi::k_rename_exchange;
    PathWalker from(TRY(base_of(from_fd, from_path)));
    TRY(from.walk_to_parent(from_path));
    PathWalker to(TRY(base_of(to_fd, to_path)));
    TRY(to.walk_to_parent(to_path));
    if (&from.parent().inode().file_system() != &to.parent().inode().file_system())
        return Errno::EXDEV;
    if (from.last_is_special())
        return Errno::EBUSY;
    if (to.last_is_special())
        return flags == abi::k_rename_noreplace ? Errno::EEXIST : Errno::EBUSY;
    String from_long = TRY(DentryCache::prepare_name(from.last()));
    String to_long = TRY(DentryCache::prepare_name(to.last()));

    Renaming renaming { .from = from, .to = to, .source = nullptr, .target = nullptr, .exchange = exchange };
    {
        Locked rename_guard(rename_lock());
        DirectoryLocks locks(from.parent().inode(), to.parent().inode());
        renaming.source = TRY(DentryCache::lookup_locked(from.parent(), from.last()));
        auto existing = DentryCache::lookup_locked(to.parent(), to.last());
        if (existing.is_error() && (existing.error() != Errno::ENOENT || exchange))
            return existing.error();
        if (!existing.is_error()) {
            renaming.target = existing.release_value();
            if (flags == abi::k_rename_noreplace)
                return Errno::EEXIST;
        }
        TRY(check_rename(renaming));
        // Two names of one file: nothing to do, both stay.
        if (renaming.target && &renaming.target->inode() == &renaming.source->inode())
            return {};
        Inode* replaced = renaming.target ? &renaming.target->inode() : nullptr;
        TRY(from.parent().inode().rename(
            from.last(), renaming.source->inode(), to.parent().inode(), to.last(), replaced, exchange));
        if (exchange) {
            DentryCache::exchange(*renaming.source, *renaming.target, std::move(to_long), std::move(from_long));
        } else {
            if (replaced && replaced->is_directory())
                replaced->set_dead();
            DentryCache::move(*renaming.source, to.parent(), to.last(), std::move(to_long), renaming.target.get());
        }
    }
    if (g_file_event_hook.load(std::memory_order_relaxed)) {
        static constinit std::atomic<u32> s_cookie { 0 };
        const u32 cookie = s_cookie.fetch_add(1, std::memory_order_relaxed) + 1;
        const u32 directory_bit = is_dir_bit(renaming.source->inode());
        notify_event(from.parent().inode(), k_in_moved_from | directory_bit, from.last(), cookie);
        notify_event(to.parent().inode(), k_in_moved_to | directory_bit, to.last(), cookie);
        notify_event(renaming.source->inode(), k_in_move_self | directory_bit);
        if (renaming.target && !exchange)
            notify_event(renaming.target->inode(), k_in_delete_self);
    }
    return {};
}

Result<RefPtr<Dentry>> make_directories(std::string_view path)
{
    for (usize end = path.find('/', 1); end != std::string_view::npos; end = path.find('/', end + 1)) {
        auto made = make_node(abi::k_at_fdcwd, path.substr(0, end), abi::k_s_ifdir | 0755, 0);
        if (made.is_error() && made.error() != Errno::EEXIST)
            return made.error();
    }
    auto made = make_node(abi::k_at_fdcwd, path, abi::k_s_ifdir | 0755, 0);
    if (made.is_error() && made.error() == Errno::EEXIST)
        return resolve(abi::k_at_fdcwd, path, true);
    return made;
}

ER_DEFINE_PART(PathsPart, paths, open_path, make_node, make_directories)

} // namespace eremite
