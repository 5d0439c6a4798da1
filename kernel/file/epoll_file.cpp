#include "file/epoll_file.h"

namespace eremite {

namespace {

constexpr u32 k_always = abi::k_pollerr | abi::k_pollhup;
constexpr u32 k_flags = abi::k_epollet | abi::k_epolloneshot | abi::k_epollexclusive | abi::k_epollwakeup;
constexpr unsigned k_max_depth = 5;

/// Which files are in which instances. Taken before any instance's own lock.
constinit Mutex s_structure;

} // namespace

EpollItem::Ear::Ear(EpollItem& item, WaitQueue& to, bool exclusive)
    : waiter(EpollFile::on_event, &item)
    , queue(to)
{
    queue.add(waiter, exclusive);
}

EpollItem::Ear::~Ear()
{
    queue.remove(waiter);
}

Result<RefPtr<File>> EpollFile::create(u32 flags)
{
    return RefPtr<File>(TRY(make_ref<EpollFile>(flags | abi::k_o_rdwr)));
}

EpollFile::~EpollFile()
{
    Locked structure(s_structure);
    Locked lock(m_lock);
    while (!m_items.empty())
        destroy(*m_items.begin());
}

void EpollFile::destroy(EpollItem& item) NO_THREAD_SAFETY_ANALYSIS
{
    // After this no callback can put it on the ready list again.
    item.ears.clear();
    {
        Locked lock(m_ready_lock);
        if (item.ready_hook.is_linked())
            m_ready.remove(item);
    }
    m_items.erase(m_items.iterator_to(item));
    EpollItem** link = &item.file.m_epoll_items;
    while (*link != &item)
        link = &(*link)->next_of_file;
    *link = item.next_of_file;
    static_cast<void>(OwnPtr<EpollItem>::adopt(&item));
}

void EpollFile::forget_file(File& file)
{
    Locked structure(s_structure);
    while (EpollItem* item = file.m_epoll_items) {
        EpollFile& epoll = item->epoll;
        Locked lock(epoll.m_lock);
        epoll.destroy(*item);
    }
}

bool EpollFile::reaches(const EpollFile& target, unsigned depth) NO_THREAD_SAFETY_ANALYSIS
{
    // s_structure is held: nobody's items change.
    if (this == &target || depth > k_max_depth)
        return true;
    for (EpollItem& item : m_items) {
        EpollFile* inner = item.file.epoll();
        if (inner && inner->reaches(target, depth + 1))
            return true;
    }
    return false;
}

void EpollFile::mark_ready(EpollItem& item)
{
    {
        Locked lock(m_ready_lock);
        if (item.ready_hook.is_linked())
            return;
        m_ready.push_back(item);
    }
    m_waiters.wake(1, abi::k_pollin | abi::k_pollrdnorm);
}

void EpollFile::on_event(Waiter& waiter, u32 events)
{
    auto& item = *static_cast<EpollItem*>(waiter.context());
    // 0: the waker doesn't say. The mask may be changing: at worst the item is looked at for nothing.
    const u32 wanted = item.event.events & ~k_flags;
    if (wanted == 0 || (events != 0 && (events & (wanted | k_always)) == 0))
        return;
    item.epoll.mark_ready(item);
}

void EpollFile::check_now(EpollItem& item)
{
    if ((item.file.poll(nullptr) & ((item.event.events & ~k_flags) | k_always)) != 0)
        mark_ready(item);
}

namespace {

/// Attaches an item's ears to the queues that a file names.
class EarTable final : public PollTable {
public:
    explicit EarTable(EpollItem& item)
        : m_item(item)
    {
    }
    void add(WaitQueue& queue) override
    {
        auto ear = make<EpollItem::Ear>(m_item, queue, (m_item.event.events & abi::k_epollexclusive) != 0);
        if (ear.is_error() || m_item.ears.try_append(ear.release_value()).is_error())
            m_failed = true;
    }
    bool failed() const { return m_failed; }

private:
    EpollItem& m_item;
    bool m_failed { false };
};

} // namespace

Result<> EpollFile::add(File& file, int fd, const abi::EpollEvent& event)
{
    constexpr u32 exclusive_with = abi::k_pollin | abi::k_pollout | abi::k_pollerr | abi::k_pollhup | abi::k_pollrdnorm
        | abi::k_pollwrnorm | abi::k_epollet | abi::k_epollwakeup | abi::k_epollexclusive;
    const u32 wanted = event.events;
    if ((wanted & abi::k_epollexclusive) != 0 && ((wanted & ~exclusive_with) != 0 || file.epoll()))
        return Errno::EINVAL;
    Locked structure(s_structure);
    if (EpollFile* inner = file.epoll(); inner && inner->reaches(*this, 1))
        return Errno::ELOOP;
    Locked lock(m_lock);
    if (m_items.find(EpollItem::Key { &file, fd }) != m_items.end())
        return Errno::EEXIST;
    EpollItem& item = *TRY(make<EpollItem>(*this, file, fd, event)).leak();
    m_items.insert(item);
    item.next_of_file = file.m_epoll_items;
    file.m_epoll_items = &item;
    file.m_forget_epoll = forget_file;
    EarTable table(item);
    const u32 ready = file.poll(&table);
    if (table.failed()) {
        destroy(item);
        return Errno::ENOMEM;
    }
    if ((ready & ((wanted & ~k_flags) | k_always)) != 0)
        mark_ready(item);
    return {};
}

Result<> EpollFile::modify(File& file, int fd, const abi::EpollEvent& event)
{
    Locked lock(m_lock);
    auto at = m_items.find(EpollItem::Key { &file, fd });
    if (at == m_items.end())
        return Errno::ENOENT;
    if (((event.events | at->event.events) & abi::k_epollexclusive) != 0)
        return Errno::EINVAL;
    at->event = event;
    check_now(*at);
    return {};
}

Result<> EpollFile::remove(File& file, int fd)
{
    Locked structure(s_structure);
    Locked lock(m_lock);
    auto at = m_items.find(EpollItem::Key { &file, fd });
    if (at == m_items.end())
        return Errno::ENOENT;
    destroy(*at);
    return {};
}

Result<usize> EpollFile::collect(UserPointer<abi::EpollEvent> events, usize count)
{
    Locked lock(m_lock);
    usize found = 0;
    Chain<EpollItem, &EpollItem::ready_hook> again;
    Result<> copied;
    while (found < count) {
        EpollItem* item;
        {
            Locked ready_lock(m_ready_lock);
            item = m_ready.first();
            if (!item)
                break;
            m_ready.remove(*item);
        }
        const u32 wanted = item->event.events;
        if ((wanted & ~k_flags) == 0)
            continue; // a one-shot that has fired
        const u32 ready = item->file.poll(nullptr) & ((wanted & ~k_flags) | k_always);
        if (ready == 0)
            continue;
        abi::EpollEvent event;
        event.events = ready;
        event.data = item->event.data;
        copied = events.at(found).write(event);
        if (copied.is_error()) {
            mark_ready(*item);
            break;
        }
        ++found;
        if ((wanted & abi::k_epolloneshot) != 0) {
            item->event.events = wanted & k_flags;
        } else if ((wanted & abi::k_epollet) == 0) {
            // Level-triggered: to be looked at again next time, after the others had their turn.
            Locked ready_lock(m_ready_lock);
            if (!item->ready_hook.is_linked())
                again.push_back(*item);
        }
    }
    bool more;
    {
        Locked ready_lock(m_ready_lock);
        while (EpollItem* item = again.first()) {
            again.remove(*item);
            m_ready.push_back(*item);
        }
        more = m_ready.first() != nullptr;
    }
    if (more && found != 0)
        m_waiters.wake(1, abi::k_pollin | abi::k_pollrdnorm);
    if (copied.is_error() && found == 0)
        return copied.error();
    return found;
}

Result<usize> EpollFile::wait(UserPointer<abi::EpollEvent> events, usize count, Nanoseconds deadline)
{
    while (true) {
        const usize found = TRY(collect(events, count));
        if (found != 0)
            return found;
        if (deadline == Nanoseconds())
            return 0;
        Locked lock(m_ready_lock);
        auto waited = m_waiters.wait_until(
            m_ready_lock, [this]() NO_THREAD_SAFETY_ANALYSIS { return m_ready.first() != nullptr; }, deadline,
            Interruptible::Yes, true);
        if (waited.is_error()) {
            if (waited.error() == Errno::ETIMEDOUT)
                return 0;
            return waited.error();
        }
    }
}

Result<> EpollFile::stat(abi::Stat& stat)
{
    stat.mode = 0600;
    stat.inode = 1;
    stat.link_count = 1;
    stat.block_size = k_page_size;
    return {};
}

u32 EpollFile::poll(PollTable* table)
{
    if (table)
        table->add(m_waiters);
    // Items on the list may have gone back to not ready: drop those, so that a poll of this tells the truth.
    Locked lock(m_lock);
    while (true) {
        EpollItem* item;
        {
            Locked ready_lock(m_ready_lock);
            item = m_ready.first();
            if (!item)
                return 0;
        }
        if ((item->file.poll(nullptr) & ((item->event.events & ~k_flags) | k_always)) != 0
            && (item->event.events & ~k_flags) != 0)
            return abi::k_pollin | abi::k_pollrdnorm;
        Locked ready_lock(m_ready_lock);
        if (item->ready_hook.is_linked())
            m_ready.remove(*item);
    }
}

} // namespace eremite
