// What a descriptor is: File is an open file description (POSIX), shared by the descriptors that dup made; FdTable maps
// numbers to them. Every kind of file (ramfs, pipe, socket, eventfd, epoll, console) derives from File.
#pragma once

#include "abi/fs.h"
#include "base/owned.h"
#include "base/result.h"
#include "sched/wait_queue.h"
#include "syscall/user_pointer.h"

namespace eremite {

class Inode;
class PageCache;

/// Collects where poll, select and epoll have to wait: a file calls add() with each of its queues.
class PollTable {
public:
    virtual void add(WaitQueue& queue) = 0;

protected:
    ~PollTable() = default;
};

/// An open file description. Methods are called with no lock held and may sleep; implementations lock for themselves.
/// The defaults say what Linux says of a file that can't do it.
class File : public RefCounted<File> {
public:
    virtual ~File() = default;

    /// Reads at most buffer.size() bytes at the file position. 0: end of file. EAGAIN if O_NONBLOCK; EINTR.
    virtual Result<usize> read(IoBuffer) { return Errno::EINVAL; }
    /// Writes; may be short.
    virtual Result<usize> write(IoBuffer) { return Errno::EINVAL; }
    /// At an offset, file position untouched. ESPIPE where there is none.
    virtual Result<usize> read_at(IoBuffer, u64) { return Errno::ESPIPE; }
    virtual Result<usize> write_at(IoBuffer, u64) { return Errno::ESPIPE; }
    virtual Result<u64> seek(i64, int) { return Errno::ESPIPE; }
    virtual Result<> truncate(u64) { return Errno::EINVAL; }
    virtual Result<long> ioctl(u32, u64) { return Errno::ENOTTY; }
    virtual Result<> stat(abi::Stat&) = 0;
    virtual Result<> sync(bool) { return Errno::EINVAL; }
    /// Directory entries in Linux's linux_dirent64 format, as many as fit.
    virtual Result<usize> read_directory(IoBuffer) { return Errno::ENOTDIR; }
    /// What is ready now: POLLIN | POLLOUT | ...; adds the queues that tell of changes to `table`, if given.
    virtual u32 poll(PollTable*) { return abi::k_pollin | abi::k_pollout; }
    /// The pages behind a mapping of this file; ENODEV where it can't be mapped.
    virtual Result<PageCache*> page_cache() { return Errno::ENODEV; }
    /// The inode of a file in a file system; null for pipes, sockets and the like.
    virtual Inode* inode() { return nullptr; }
    /// Called at each close() of a descriptor to it (POSIX locks, flush); the destructor runs at the last.
    virtual void descriptor_closed() { }
    /// What /proc/self/fd/N points to: "pipe:[12]", "/tmp/a".
    virtual Result<String> description() { return String::create("anon_inode:[file]"); }

    /// O_* status flags: access mode, O_APPEND, O_NONBLOCK, O_DIRECT, ...
    u32 flags() const { return m_flags.load(std::memory_order_relaxed); }
    void set_flags(u32 flags) { m_flags.store(flags, std::memory_order_relaxed); }
    bool is_nonblocking() const { return (flags() & abi::k_o_nonblock) != 0; }
    bool is_readable() const { return (flags() & abi::k_o_accmode) != abi::k_o_wronly; }
    bool is_writable() const { return (flags() & abi::k_o_accmode) != abi::k_o_rdonly; }

protected:
    explicit File(u32 flags)
        : m_flags(flags)
    {
    }

private:
    std::atomic<u32> m_flags;
};

/// Descriptor numbers of the (only) process. Lookup takes no lock that a reader waits for.
class FdTable {
public:
    static constexpr u32 k_default_limit = 1024;
    static constexpr u32 k_hard_limit = 1u << 20;

    /// EBADF.
    Result<RefPtr<File>> get(int fd);
    /// Lowest free number not below `minimum`. EMFILE, ENOMEM.
    Result<int> install(RefPtr<File> file, bool close_on_exec, int minimum = 0);
    /// dup2/dup3: replaces what was there. EBADF.
    Result<> install_at(int fd, RefPtr<File> file, bool close_on_exec);
    /// EBADF.
    Result<> close(int fd);
    Result<> close_range(u32 first, u32 last, bool only_set_close_on_exec);
    Result<bool> close_on_exec(int fd);
    Result<> set_close_on_exec(int fd, bool value);
    void set_limit(u32 limit);
    u32 limit() const;
    /// Next descriptor in use at or above `fd`, or -1.
    int next_open(int fd);

private:
    struct Slot {
        RefPtr<File> file;
        bool close_on_exec { false };
    };
    mutable SpinLock m_lock;
    Vector<Slot> m_slots GUARDED_BY(m_lock);
    u32 m_lowest_free GUARDED_BY(m_lock) { 0 };
    std::atomic<u32> m_limit { k_default_limit };
};

/// The process's descriptors.
FdTable& fd_table();

} // namespace eremite
