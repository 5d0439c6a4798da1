#include "fs/path.h"

#include "base/component.h"
#include "file/file.h"
#include "fs/open_file.h"
#include "fs/root.h"

namespace eremite {

namespace {

constexpr u32 k_max_links = 40;

[[clang::no_destroy]] constinit FsContext s_context;

} // namespace

FsContext& fs_context()
{
    ER_NEEDS(files);
    ER_NEEDS(paths);
    ER_NEEDS(mounts);
    ER_NEEDS(virtiofs);
    return s_context;
}

RefPtr<Dentry> FsContext::root()
{
    Locked lock(m_lock);
    return m_root;
}

RefPtr<Dentry> FsContext::current()
{
    Locked lock(m_lock);
    return m_current;
}

void FsContext::set_root(RefPtr<Dentry> root)
{
    Locked lock(m_lock);
    std::swap(m_root, root);
}

void FsContext::set_current(RefPtr<Dentry> current)
{
    Locked lock(m_lock);
    std::swap(m_current, current);
}

Result<> PathArgument::copy(UserString path)
{
    const auto* source = reinterpret_cast<const char*>(path.address());
    if (!is_application_range(path.address(), 1))
        return Errno::EFAULT;
    isize length = arch::user_string_length(source, m_short.size());
    std::span<char> buffer = m_short;
    if (length < 0)
        return Errno::EFAULT;
    if (static_cast<usize>(length) >= m_short.size()) {
        length = arch::user_string_length(source, abi::k_path_max);
        if (length < 0)
            return Errno::EFAULT;
        if (static_cast<usize>(length) >= abi::k_path_max)
            return Errno::ENAMETOOLONG;
        TRY(m_long.try_resize(static_cast<usize>(length)));
        buffer = m_long.span();
    }
    buffer = buffer.first(static_cast<usize>(length));
    TRY(copy_from_user(buffer.data(), path.address(), buffer.size()));
    m_view = { buffer.data(), buffer.size() };
    return {};
}

Result<RefPtr<Dentry>> base_of(int fd, std::string_view path)
{
    if (fd == abi::k_at_fdcwd || path.starts_with('/'))
        return fs_context().current();
    BorrowedFile file(fd);
    if (!file)
        return Errno::EBADF;
    Dentry* dentry = file->dentry();
    if (!dentry || !dentry->inode().is_directory())
        return Errno::ENOTDIR;
    return RefPtr<Dentry>(dentry);
}

PathWalker::PathWalker(RefPtr<Dentry> base, u64 resolve)
    : m_base(std::move(base))
    , m_root((resolve & abi::k_resolve_in_root) != 0 ? m_base : fs_context().root())
    , m_resolve(resolve)
{
}

Result<RefPtr<Dentry>> PathWalker::cross_mounts(RefPtr<Dentry> dentry)
{
    while (Dentry* root = dentry->mounted()) {
        if ((m_resolve & abi::k_resolve_no_xdev) != 0)
            return Errno::EXDEV;
        dentry = RefPtr<Dentry>(root);
    }
    return dentry;
}

Result<RefPtr<Dentry>> PathWalker::step_up()
{
    if ((m_resolve & abi::k_resolve_beneath) != 0 && m_at == m_base)
        return Errno::EXDEV;
    if (m_at == m_root)
        return m_at;
    RefPtr<Dentry> at = m_at;
    while (Dentry* covered = at->covered()) {
        if ((m_resolve & abi::k_resolve_no_xdev) != 0)
            return Errno::EXDEV;
        at = RefPtr<Dentry>(covered);
        if (at == m_root)
            return at;
    }
    RefPtr<Dentry> parent = at->parent();
    return cross_mounts(parent ? std::move(parent) : std::move(at));
}

Result<RefPtr<Dentry>> PathWalker::step(std::string_view name)
{
    if (name == ".")
        return m_at;
    if (name == "..")
        return step_up();
    return cross_mounts(TRY(DentryCache::lookup(*m_at, name)));
}

Result<bool> PathWalker::enter_link(Dentry& link, std::string_view& rest)
{
    if ((m_resolve & abi::k_resolve_no_symlinks) != 0 || ++m_links > k_max_links)
        return Errno::ELOOP;
    if (link.inode().is_magic_link()) {
        if ((m_resolve & (abi::k_resolve_no_magiclinks | abi::k_resolve_beneath | abi::k_resolve_in_root)) != 0)
            return (m_resolve & abi::k_resolve_no_magiclinks) != 0 ? Errno::ELOOP : Errno::EXDEV;
        RefPtr<Dentry> destination = TRY(link.inode().link_destination());
        if (destination) {
            m_at = std::move(destination);
            return true;
        }
        // Leads to something without a name (a pipe): it is opened through the link itself.
        m_at = RefPtr<Dentry>(&link);
        return true;
    }
    String target = TRY(link.inode().read_link());
    if (target.is_empty())
        return Errno::ENOENT;
    Vector<char> joined;
    TRY(joined.try_reserve(target.size() + rest.size()));
    TRY(joined.try_append(std::span(target.view())));
    TRY(joined.try_append(std::span(rest)));
    if (joined.size() >= abi::k_path_max)
        return Errno::ENAMETOOLONG;
    m_buffer = TRY(String::create({ joined.begin(), joined.size() }));
    rest = m_buffer;
    if (rest.starts_with('/')) {
        if ((m_resolve & abi::k_resolve_beneath) != 0)
            return Errno::EXDEV;
        m_at = TRY(cross_mounts(m_root));
    }
    return false;
}

Result<> PathWalker::walk(std::string_view rest)
{
    while (true) {
        while (rest.starts_with('/'))
            rest.remove_prefix(1);
        if (rest.empty()) {
            m_last = {};
            return {};
        }
        const usize end = std::min(rest.find('/'), rest.size());
        const std::string_view name = rest.substr(0, end);
        rest.remove_prefix(end);
        if (!m_at->inode().is_directory())
            return Errno::ENOTDIR;
        if (rest.find_first_not_of('/') == std::string_view::npos) {
            m_last = name;
            m_trailing_slash = m_trailing_slash || !rest.empty();
            return {};
        }
        RefPtr<Dentry> next = TRY(step(name));
        if (next->inode().is_symlink()) {
            TRY(enter_link(*next, rest));
            continue;
        }
        m_at = std::move(next);
    }
}

Result<> PathWalker::walk_to_parent(std::string_view path)
{
    if (path.empty())
        return Errno::ENOENT;
    if (path.starts_with('/')) {
        if ((m_resolve & abi::k_resolve_beneath) != 0)
            return Errno::EXDEV;
        m_at = TRY(cross_mounts(m_root));
    } else {
        m_at = m_base;
    }
    if (m_resolve == 0 && walk_cached(path)) [[likely]]
        return {};
    return walk(path);
}

/// All of walk(), if what leads to the last component is in the cache. False: nothing has changed.
bool PathWalker::walk_cached(std::string_view path)
{
    const usize slash = path.rfind('/');
    const usize start = slash == std::string_view::npos ? 0 : slash + 1;
    if (start == path.size() || !m_at->inode().is_directory())
        return false;
    if (start != 0) {
        RefPtr<Dentry> parent = DentryCache::walk(*m_at, path.substr(0, start), true);
        if (!parent || !parent->inode().is_directory())
            return false;
        m_at = std::move(parent);
    }
    m_last = path.substr(start);
    return true;
}

Result<RefPtr<Dentry>> PathWalker::finish(bool follow)
{
    while (true) {
        if (m_last.empty())
            return m_at;
        auto stepped = step(m_last);
        if (stepped.is_error()) {
            m_last_missing = stepped.error() == Errno::ENOENT;
            return stepped.error();
        }
        RefPtr<Dentry> found = stepped.release_value();
        if (found->inode().is_symlink() && (follow || m_trailing_slash)) {
            std::string_view rest;
            if (TRY(enter_link(*found, rest))) {
                if (m_trailing_slash && !m_at->inode().is_directory())
                    return Errno::ENOTDIR;
                return m_at;
            }
            TRY(walk(rest));
            continue;
        }
        if (m_trailing_slash && !found->inode().is_directory())
            return Errno::ENOTDIR;
        return found;
    }
}

Result<RefPtr<Dentry>> resolve(int fd, std::string_view path, bool follow)
{
    RefPtr<Dentry> base = path.starts_with('/') ? fs_context().root() : TRY(base_of(fd, path));
    if (path.size() != 0) {
        if (RefPtr<Dentry> found = DentryCache::walk(*base, path, follow); found) [[likely]]
            return found;
    }
    PathWalker walker(std::move(base));
    TRY(walker.walk_to_parent(path));
    return walker.finish(follow);
}

Result<RefPtr<Dentry>> resolve_user(int fd, UserString path, bool follow, bool allow_empty)
{
    PathArgument name;
    TRY(name.copy(path));
    if (name.view().empty() && allow_empty) {
        if (fd == abi::k_at_fdcwd)
            return fs_context().current();
        BorrowedFile file(fd);
        if (!file)
            return Errno::EBADF;
        if (!file->dentry())
            return Errno::EBADF;
        return RefPtr<Dentry>(file->dentry());
    }
    return resolve(fd, name.view(), follow);
}

} // namespace eremite
