// What a descriptor is: File is an open file description (POSIX), shared by the descriptors that dup made; FdTable maps
// numbers to them. Every kind of file (ramfs, pipe, socket, eventfd, epoll, console) derives from File.
#pragma once

#include "abi/fs.h"
#include "base/component.h"
#include "base/owned.h"
#include "base/result.h"
#include "base/string.h"
#include "sched/process.h"
#include "sched/wait_queue.h"
#include "syscall/user_pointer.h"

namespace eremite {

class Dentry;
class EpollFile;
struct EpollItem;
class Inode;
class MemoryObject;
namespace net {
class Socket;
}
class Pipe;

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
    /// readv and writev in one piece; the default goes buffer by buffer until one is not filled.
    virtual Result<usize> read_vector(std::span<const abi::IoVector> vectors);
    virtual Result<usize> write_vector(std::span<const abi::IoVector> vectors);
    virtual Result<u64> seek(i64, int) { return Errno::ESPIPE; }
    virtual Result<> truncate(u64) { return Errno::EINVAL; }
    virtual Result<long> ioctl(u32, u64) { return Errno::ENOTTY; }
    virtual Result<> stat(abi::Stat&) = 0;
    /// fsync, or fdatasync if `data_only`.
    virtual Result<> sync(bool) { return Errno::EINVAL; }
    /// Directory entries in Linux's linux_dirent64 format, as many as fit.
    virtual Result<usize> read_directory(IoBuffer) { return Errno::ENOTDIR; }
    /// What is ready now: POLLIN | POLLOUT | ...; adds the queues that tell of changes to `table`, if given.
    virtual u32 poll(PollTable*) { return abi::k_pollin | abi::k_pollout | abi::k_pollrdnorm | abi::k_pollwrnorm; }
    /// Whether epoll takes it: regular files and directories are refused with EPERM.
    virtual bool can_poll() const { return true; }
    /// fallocate(2).
    virtual Result<> allocate(int, u64, u64) { return Errno::ENODEV; }
    /// fcntl's record locks: F_GETLK, F_SETLK, F_SETLKW and F_OFD_*; flock(2) comes as k_flock_command.
    virtual Result<> lock(int, abi::FileLock&) { return Errno::EBADF; }
    static constexpr int k_flock_command = -1;
    /// fcntl commands of one kind of file only: F_SETPIPE_SZ, F_ADD_SEALS, ...
    virtual Result<long> control(int, u64) { return Errno::EINVAL; }
    /// set_flags() by fcntl or ioctl; EINVAL for what the file can't be.
    virtual Result<> change_flags(u32 flags)
    {
        set_flags(flags);
        return {};
    }
    /// The pages behind a mapping of this file (its PageCache, usually); ENODEV where it can't be mapped. Lives as long
    /// as this File does.
    virtual Result<MemoryObject*> memory_object() { return Errno::ENODEV; }
    /// Sealed against writing (memfd): not even a mapping may change it.
    virtual bool is_write_sealed() { return false; }
    /// The inode of a file in a file system; null for pipes, sockets and the like.
    virtual Inode* inode() { return nullptr; }
    /// The socket behind the descriptor, for the calls that are for sockets alone; null for everything else.
    virtual net::Socket* socket() { return nullptr; }
    /// The name by which it was opened; null likewise.
    virtual Dentry* dentry() { return nullptr; }
    /// This, if it is an epoll instance.
    virtual EpollFile* epoll() { return nullptr; }
    /// The pipe behind an end of one (splice, tee).
    virtual Pipe* pipe() { return nullptr; }
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

public:
    /// Takes it out of the epoll instances that watch it, while it can still be polled.
    void last_reference_dropped()
    {
        if (m_epoll_items) [[unlikely]]
            m_forget_epoll(*this);
    }

private:
    friend class EpollFile;
    std::atomic<u32> m_flags;
    EpollItem* m_epoll_items { nullptr }; // under the lock of epoll's structure
    void (*m_forget_epoll)(File&) { nullptr }; // set with the first item: no reference to epoll otherwise
};

/// Descriptor numbers of the (only) process. System calls look one up by `BorrowedFile file(fd);`.
class FdTable {
public:
    static constexpr u32 k_default_limit = 1024;
    static constexpr u32 k_hard_limit = 1u << 20;

    constexpr FdTable() = default;

    /// EBADF.
    Result<RefPtr<File>> get(int fd);
    /// Lowest free number not below `minimum`. EMFILE, ENOMEM.
    Result<int> install(RefPtr<File> file, bool close_on_exec, int minimum = 0);
    /// dup2/dup3: replaces what was there. EBADF.
    Result<> install_at(int fd, RefPtr<File> file, bool close_on_exec);
    /// EBADF.
    Result<> close(int fd);
    /// Closes, or marks, all in [first, last].
    void close_range(u32 first, u32 last, bool only_set_close_on_exec);
    Result<bool> close_on_exec(int fd);
    Result<> set_close_on_exec(int fd, bool value);
    void set_limit(u32 limit);
    u32 limit() const;
    /// Next descriptor in use at or above `fd`, or -1.
    int next_open(int fd);

private:
    friend class BorrowedFile;
    struct Slot {
        RefPtr<File> file;
        bool close_on_exec { false };
    };
    /// What stands at `fd`, or null. The caller knows that nobody changes the table meanwhile.
    File* peek(int fd) NO_THREAD_SAFETY_ANALYSIS
    {
        const auto index = static_cast<u32>(fd);
        return index < m_slots.size() ? m_slots[index].file.get() : nullptr;
    }
    RefPtr<File> take(u32 fd) REQUIRES(m_lock);

    mutable SpinLock m_lock;
    Vector<Slot> m_slots GUARDED_BY(m_lock);
    u32 m_lowest_free GUARDED_BY(m_lock) { 0 };
    std::atomic<u32> m_limit { k_default_limit };
};

/// The process's descriptors.
extern FdTable g_fd_table;
inline FdTable& fd_table()
{
    ER_NEEDS(standard_files);
    return g_fd_table;
}

/// The file behind a descriptor for the length of a system call. While the process has had but one thread, nobody else
/// can close the descriptor, and no reference is taken.
class BorrowedFile {
public:
    explicit BorrowedFile(int fd)
    {
        if (!g_multithreaded.load(std::memory_order_relaxed)) [[likely]] {
            m_file = fd_table().peek(fd);
            return;
        }
        m_file = share(fd);
        m_owned = true;
    }
    ~BorrowedFile()
    {
        if (m_owned && m_file)
            m_file->unref();
    }
    BorrowedFile(const BorrowedFile&) = delete;
    BorrowedFile& operator=(const BorrowedFile&) = delete;

    explicit operator bool() const { return m_file != nullptr; }
    File* operator->() const
    {
        ASSERT(m_file);
        return m_file;
    }
    File& operator*() const
    {
        ASSERT(m_file);
        return *m_file;
    }
    /// A reference of the caller's own.
    RefPtr<File> reference() const { return RefPtr<File>(m_file); }

    /// operation(File&) with the file at `fd`; EBADF where there is none. Without a second thread there is no reference
    /// to give back, and the compiler sees that here.
    template<typename Operation>
    static auto with(int fd, Operation operation) -> decltype(operation(std::declval<File&>()))
    {
        if (!g_multithreaded.load(std::memory_order_relaxed)) [[likely]] {
            File* file = fd_table().peek(fd);
            return file ? operation(*file) : Errno::EBADF;
        }
        return with_shared(fd, operation);
    }

private:
    template<typename Operation>
    [[gnu::noinline]] static auto with_shared(int fd, Operation operation) -> decltype(operation(std::declval<File&>()))
    {
        BorrowedFile file(fd);
        return file ? operation(*file) : Errno::EBADF;
    }
    static File* share(int fd);

    File* m_file { nullptr };
    bool m_owned { false };
};

} // namespace eremite
