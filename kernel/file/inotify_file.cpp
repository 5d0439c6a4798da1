#include "file/inotify_file.h"

#include "fs/inode.h"
#include "fs/open_file.h"

#include <algorithm>

namespace eremite {

namespace {

constexpr u32 k_all_events = 0xfff;
constexpr u32 k_overflow = 0x4000;
constexpr u32 k_ignored = 0x8000;
constexpr u32 k_mask_create = 0x1000'0000;
constexpr u32 k_mask_add = 0x2000'0000;
constexpr u32 k_oneshot = 0x8000'0000;
constexpr usize k_header = 16;

/// All instances; taken before an instance's own lock.
constinit Mutex s_lock;
constinit InotifyFile* s_first = nullptr;

} // namespace

usize InotifyFile::Event::size() const
{
    return k_header + (name.is_empty() ? 0 : align_up(name.size() + 1, k_header));
}

Result<RefPtr<File>> InotifyFile::create(u32 flags)
{
    RefPtr<InotifyFile> file = TRY(make_ref<InotifyFile>(flags));
    Locked lock(s_lock);
    file->m_next = s_first;
    s_first = file.get();
    g_file_event_hook.store(on_event, std::memory_order_release);
    return RefPtr<File>(std::move(file));
}

InotifyFile* InotifyFile::from(File& file)
{
    Locked lock(s_lock);
    InotifyFile* at = s_first;
    while (at && at != &file)
        at = at->m_next;
    return at;
}

InotifyFile::~InotifyFile()
{
    {
        Locked lock(s_lock);
        InotifyFile** link = &s_first;
        while (*link != this)
            link = &(*link)->m_next;
        *link = m_next;
        if (!s_first)
            g_file_event_hook.store(nullptr, std::memory_order_release);
    }
    Locked lock(m_lock);
    for (Watch& watch : m_watches)
        watch.inode->watch_count.fetch_sub(1, std::memory_order_relaxed);
    while (Event* event = m_events.pop_front())
        static_cast<void>(OwnPtr<Event>::adopt(event));
}

void InotifyFile::on_event(Inode& inode, u32 mask, std::string_view name, u32 cookie)
{
    if (inode.watch_count.load(std::memory_order_relaxed) == 0)
        return;
    Locked lock(s_lock);
    for (InotifyFile* file = s_first; file; file = file->m_next) {
        // Dying: it takes itself off when it gets the lock.
        if (file->reference_count() == 0)
            continue;
        Locked inner(file->m_lock);
        for (usize i = 0; i < file->m_watches.size(); ++i) {
            if (file->m_watches[i].inode.get() != &inode)
                continue;
            file->queue(file->m_watches[i], mask, name, cookie);
            const bool gone = name.empty() && (mask & k_in_delete_self) != 0;
            if (gone
                || ((file->m_watches[i].mask & k_oneshot) != 0 && (mask & file->m_watches[i].mask & k_all_events) != 0))
                static_cast<void>(file->remove_at(i).is_error());
            break;
        }
    }
}

void InotifyFile::push(int watch, u32 mask, u32 cookie, String name)
{
    // The same again, unread, is told once.
    if (Event* last = m_events.last(); last && last->watch == watch && last->mask == mask && last->cookie == cookie
        && last->name.view() == name.view())
        return;
    const bool overflows = m_event_count >= k_max_events;
    if (m_event_count > k_max_events)
        return;
    auto event = make<Event>();
    if (event.is_error())
        return;
    event.value()->watch = overflows ? -1 : watch;
    event.value()->mask = overflows ? k_overflow : mask;
    event.value()->cookie = cookie;
    if (!overflows)
        event.value()->name = std::move(name);
    m_events.push_back(*event.release_value().leak());
    ++m_event_count;
    m_readers.wake_all(abi::k_pollin | abi::k_pollrdnorm);
}

void InotifyFile::queue(const Watch& watch, u32 mask, std::string_view name, u32 cookie)
{
    const u32 wanted = mask & watch.mask & k_all_events;
    if (wanted == 0)
        return;
    auto copy = String::create(name);
    if (!copy.is_error())
        push(watch.number, wanted | (mask & k_in_isdir), cookie, copy.release_value());
}

Result<> InotifyFile::remove_at(usize index)
{
    const int number = m_watches[index].number;
    m_watches[index].inode->watch_count.fetch_sub(1, std::memory_order_relaxed);
    m_watches.remove_unordered(index);
    push(number, k_ignored, 0, String());
    return {};
}

Result<int> InotifyFile::add_watch(Inode& inode, u32 mask)
{
    if ((mask & k_all_events) == 0)
        return Errno::EINVAL;
    Locked lock(m_lock);
    for (Watch& watch : m_watches) {
        if (watch.inode.get() != &inode)
            continue;
        if ((mask & k_mask_create) != 0)
            return Errno::EEXIST;
        watch.mask = (mask & k_mask_add) != 0 ? watch.mask | mask : mask;
        return watch.number;
    }
    TRY(m_watches.try_append(Watch { RefPtr<Inode>(&inode), mask, m_next_number }));
    inode.watch_count.fetch_add(1, std::memory_order_relaxed);
    return m_next_number++;
}

Result<> InotifyFile::remove_watch(int number)
{
    Locked lock(m_lock);
    for (usize i = 0; i < m_watches.size(); ++i) {
        if (m_watches[i].number == number)
            return remove_at(i);
    }
    return Errno::EINVAL;
}

Result<usize> InotifyFile::read(IoBuffer buffer)
{
    Locked lock(m_lock);
    if (m_events.is_empty()) {
        if (is_nonblocking())
            return Errno::EAGAIN;
        TRY(m_readers.wait_until(m_lock, [this]() NO_THREAD_SAFETY_ANALYSIS { return !m_events.is_empty(); }));
    }
    usize total = 0;
    while (Event* event = m_events.first()) {
        const usize size = event->size();
        if (size > buffer.size() - total) {
            if (total == 0)
                return Errno::EINVAL;
            break;
        }
        std::array<u8, k_header + 272> record {};
        const std::array<u32, 4> header { static_cast<u32>(event->watch), event->mask, event->cookie,
            static_cast<u32>(size - k_header) };
        __builtin_memcpy(record.data(), header.data(), k_header);
        std::ranges::copy(event->name.view(), std::span(record).subspan(k_header).begin());
        TRY(buffer.subspan(total).write(std::span(record).first(size)));
        total += size;
        m_events.remove(*event);
        --m_event_count;
        static_cast<void>(OwnPtr<Event>::adopt(event));
    }
    return total;
}

Result<long> InotifyFile::ioctl(u32 request, u64 argument)
{
    if (request != abi::k_fionread)
        return Errno::ENOTTY;
    int total = 0;
    {
        Locked lock(m_lock);
        for (Event& event : m_events)
            total += static_cast<int>(event.size());
    }
    TRY(UserPointer<int>(argument).write(total));
    return 0;
}

Result<> InotifyFile::stat(abi::Stat& stat)
{
    stat.mode = 0600;
    stat.inode = 1;
    stat.link_count = 1;
    stat.block_size = k_page_size;
    return {};
}

u32 InotifyFile::poll(PollTable* table)
{
    if (table)
        table->add(m_readers);
    Locked lock(m_lock);
    return m_events.is_empty() ? 0 : abi::k_pollin | abi::k_pollrdnorm;
}

} // namespace eremite
