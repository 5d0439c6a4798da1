// inotify(7): events of files and directories, queued for reading.
#pragma once

#include "base/chain.h"
#include "file/file.h"

namespace eremite {

class InotifyFile final : public File {
public:
    static Result<RefPtr<File>> create(u32 flags);
    ~InotifyFile() override;

    /// `file`, if it is one of these; else null.
    static InotifyFile* from(File& file);

    /// inotify_add_watch(2): the watch's number. EEXIST, ENOMEM, ENOSPC.
    Result<int> add_watch(Inode& inode, u32 mask);
    /// EINVAL.
    Result<> remove_watch(int number);

    Result<usize> read(IoBuffer buffer) override;
    Result<long> ioctl(u32 request, u64 argument) override;
    Result<> stat(abi::Stat& stat) override;
    u32 poll(PollTable* table) override;
    Result<String> description() override { return String::create("anon_inode:inotify"); }

private:
    template<typename T, typename... Arguments> friend Result<RefPtr<T>> make_ref(Arguments&&...);
    explicit InotifyFile(u32 flags)
        : File(flags)
    {
    }

    struct Watch {
        RefPtr<Inode> inode;
        u32 mask { 0 };
        int number { 0 };
    };
    struct Event {
        ChainHook<Event> hook;
        int watch { 0 };
        u32 mask { 0 };
        u32 cookie { 0 };
        String name;
        usize size() const;
    };

    static void on_event(Inode& inode, u32 mask, std::string_view name, u32 cookie);
    void queue(const Watch& watch, u32 mask, std::string_view name, u32 cookie) REQUIRES(m_lock);
    void push(int watch, u32 mask, u32 cookie, String name) REQUIRES(m_lock);
    Result<> remove_at(usize index) REQUIRES(m_lock);

    static constexpr usize k_max_events = 16384;

    Mutex m_lock;
    Vector<Watch> m_watches GUARDED_BY(m_lock);
    Chain<Event, &Event::hook> m_events GUARDED_BY(m_lock);
    usize m_event_count GUARDED_BY(m_lock) { 0 };
    int m_next_number GUARDED_BY(m_lock) { 1 };
    WaitQueue m_readers;

    InotifyFile* m_next { nullptr }; // of all instances
};

} // namespace eremite
