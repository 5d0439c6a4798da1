#include "file/poll_waiter.h"

namespace eremite {

void PollWaiter::add(WaitQueue& queue)
{
    if (m_count < k_inline) {
        m_few[m_count++].emplace(queue);
        return;
    }
    auto entry = make<Entry>(queue);
    if (entry.is_error() || m_more.try_append(entry.release_value()).is_error())
        m_failed = true;
}

void PollWaiter::queue_again()
{
    for (auto& entry : std::span(m_few).first(m_count))
        entry->queue_again();
    for (auto& entry : m_more)
        entry->queue_again();
}

void PollWaiter::clear()
{
    for (auto& entry : m_few)
        entry.reset();
    m_more.clear();
}

} // namespace eremite
