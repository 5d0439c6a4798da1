// Advisory locks on a file: fcntl's record locks, of the process and of open file descriptions, and flock's.
#pragma once

#include "abi/fs.h"
#include "fs/inode.h"

namespace eremite {

/// The locks of one inode; made when the first is asked for, lives as long as the inode.
class FileLocks {
public:
    /// What fcntl or flock asks through `file`, whose position is `position`. F_GETLK answers in `lock`.
    /// EAGAIN, EINTR, EINVAL, EBADF, ENOMEM.
    static Result<> request(Inode& inode, File& file, u64 position, int command, abi::FileLock& lock);
    /// Drops everything of a description; null: of the process (POSIX locks, which any close() of the file drops).
    static void release_owner(Inode& inode, const void* owner);

private:
    template<typename T, typename... Arguments> friend Result<OwnPtr<T>> make(Arguments&&...);
    FileLocks() = default;

    enum class Family : u8 { Record, Whole };
    struct Held {
        u64 start { 0 };
        u64 last { 0 }; // inclusive
        const void* owner { nullptr }; // a File, or null for the process
        i16 type { 0 };
        Family family { Family::Record };
    };

    static Result<FileLocks*> of(Inode& inode);
    const Held* conflicting(const Held& wanted) const REQUIRES(m_lock);
    Result<> apply(const Held& wanted) REQUIRES(m_lock);

    SpinLock m_lock;
    Vector<Held> m_held GUARDED_BY(m_lock);
    WaitQueue m_waiters;
};

} // namespace eremite
