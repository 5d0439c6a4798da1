// Path walk: from a string to a Dentry (path_resolution(7)), and the process's place in the tree.
#pragma once

#include "fs/dentry.h"
#include <span>

namespace eremite {

/// Where the process is: current directory, root, umask. Before anything else, the first caller mounts the root.
class FsContext {
public:
    constexpr FsContext() = default;
    RefPtr<Dentry> root();
    RefPtr<Dentry> current();
    void set_root(RefPtr<Dentry> root);
    void set_current(RefPtr<Dentry> current);
    u32 umask() const { return m_umask.load(std::memory_order_relaxed); }
    u32 exchange_umask(u32 mask) { return m_umask.exchange(mask & 0777, std::memory_order_relaxed); }

private:
    SpinLock m_lock;
    RefPtr<Dentry> m_root GUARDED_BY(m_lock);
    RefPtr<Dentry> m_current GUARDED_BY(m_lock);
    std::atomic<u32> m_umask { 022 };
};

/// Naming it keeps the file systems' component in the image.
FsContext& fs_context();

/// A path of the application's, copied: short ones on the stack.
class PathArgument {
public:
    /// EFAULT, ENAMETOOLONG.
    Result<> copy(UserString path);
    std::string_view view() const { return m_view; }

private:
    std::array<char, 200> m_short;
    Vector<char> m_long;
    std::string_view m_view;
};

/// Where relative paths begin: the directory that `fd` is, or the current one for AT_FDCWD. EBADF, ENOTDIR.
Result<RefPtr<Dentry>> base_of(int fd, std::string_view path);

/// Walks one path.
class PathWalker {
public:
    /// `resolve`: RESOLVE_* of openat2.
    explicit PathWalker(RefPtr<Dentry> base, u64 resolve = 0);

    /// All but the last component; then parent(), last() say where and what. ENOENT (also for ""), ENOTDIR, ELOOP, ...
    Result<> walk_to_parent(std::string_view path);
    /// The last one as well. `follow`: a symlink there is followed (one with a slash after it always is). When it isn't
    /// there: ENOENT, and parent(), last() name the place, past any symlinks.
    Result<RefPtr<Dentry>> finish(bool follow);

    Dentry& parent() const { return *m_at; }
    /// "" for the root itself; "." and ".." stay as they are.
    std::string_view last() const { return m_last; }
    /// finish() gave ENOENT because of the last component alone.
    bool last_is_missing() const { return m_last_missing; }
    bool has_trailing_slash() const { return m_trailing_slash; }
    bool last_is_special() const { return m_last.empty() || m_last == "." || m_last == ".."; }

private:
    Result<RefPtr<Dentry>> step(std::string_view name);
    Result<RefPtr<Dentry>> step_up();
    Result<RefPtr<Dentry>> cross_mounts(RefPtr<Dentry> dentry);
    /// What remains is the link's text and then `rest`; or, for a magic link, m_at has jumped.
    Result<bool> enter_link(Dentry& link, std::string_view& rest);
    Result<> walk(std::string_view rest);
    bool walk_cached(std::string_view path);

    RefPtr<Dentry> m_base;
    RefPtr<Dentry> m_root;
    RefPtr<Dentry> m_at;
    u64 m_resolve;
    String m_buffer; // holds m_last once a symlink was followed
    std::string_view m_last;
    bool m_trailing_slash { false };
    bool m_last_missing { false };
    u32 m_links { 0 };
};

/// The file that `path` names, without or with following a last symlink. The usual way in for calls that take a path.
Result<RefPtr<Dentry>> resolve(int fd, std::string_view path, bool follow);
/// Likewise with AT_EMPTY_PATH: an empty path means `fd` itself.
Result<RefPtr<Dentry>> resolve_user(int fd, UserString path, bool follow, bool allow_empty = false);

} // namespace eremite
