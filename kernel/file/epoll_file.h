// epoll(7): a set of files, and which of them are ready. A file that becomes ready puts its item on the ready list by a
// callback; waiting threads look only at that list.
#pragma once

#include "base/chain.h"
#include "base/intrusive.h"
#include "file/file.h"

namespace eremite {

class EpollFile;

/// One file in one epoll instance, under one descriptor number. Holds no reference: the file takes its items with it.
struct EpollItem {
    struct Key {
        const File* file;
        int fd;
        auto operator<=>(const Key&) const = default;
    };
    struct KeyOf {
        using type = Key;
        type operator()(const EpollItem& item) const { return item.key; }
    };

    EpollItem(EpollFile& in, File& of, int fd, const abi::EpollEvent& wanted)
        : key { &of, fd }
        , epoll(in)
        , file(of)
        , event(wanted)
    {
    }

    Key key;
    EpollFile& epoll;
    File& file;
    abi::EpollEvent event; // under the instance's m_lock; `events` is also read by the callback
    TreeHook tree_hook;
    ChainHook<EpollItem> ready_hook; // under m_ready_lock
    EpollItem* next_of_file { nullptr };

    /// The file's queues that it listens to. All files so far have at most two; more are allocated.
    struct Ear {
        Ear(EpollItem& item, WaitQueue& queue, bool exclusive);
        ~Ear();
        Waiter waiter;
        WaitQueue& queue;
    };
    Vector<OwnPtr<Ear>> ears;
};

class EpollFile final : public File {
public:
    static Result<RefPtr<File>> create(u32 flags);
    ~EpollFile() override;

    /// epoll_ctl(2). EEXIST, ENOENT, ELOOP, EINVAL, ENOMEM.
    Result<> add(File& file, int fd, const abi::EpollEvent& event);
    Result<> modify(File& file, int fd, const abi::EpollEvent& event);
    Result<> remove(File& file, int fd);
    /// epoll_wait(2): at most `count` events to `events`; 0 at the deadline. EINTR, EFAULT.
    Result<usize> wait(UserPointer<abi::EpollEvent> events, usize count, Nanoseconds deadline);

    Result<> stat(abi::Stat& stat) override;
    u32 poll(PollTable* table) override;
    EpollFile* epoll() override { return this; }
    Result<String> description() override { return String::create("anon_inode:[eventpoll]"); }

private:
    template<typename T, typename... Arguments> friend Result<RefPtr<T>> make_ref(Arguments&&...);
    friend struct EpollItem;
    friend struct EpollItem::Ear;
    explicit EpollFile(u32 flags)
        : File(flags)
    {
    }

    static void forget_file(File& file);
    static void on_event(Waiter& waiter, u32 events);
    bool reaches(const EpollFile& target, unsigned depth);
    void destroy(EpollItem& item);
    void mark_ready(EpollItem& item);
    void check_now(EpollItem& item);
    Result<usize> collect(UserPointer<abi::EpollEvent> events, usize count);

    using Items = Tree<EpollItem, &EpollItem::tree_hook, EpollItem::KeyOf>;
    Mutex m_lock;
    Items m_items GUARDED_BY(m_lock); // changed with the lock of the structure held as well
    InterruptSpinLock m_ready_lock;
    Chain<EpollItem, &EpollItem::ready_hook> m_ready GUARDED_BY(m_ready_lock);
    WaitQueue m_waiters;
};

} // namespace eremite
