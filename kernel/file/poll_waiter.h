// Waits on the queues of several files at once, for poll and select.
#pragma once

#include "file/file.h"

#include <array>
#include <optional>

namespace eremite {

/// A PollTable whose thread is woken by any of the queues. First add() everything, then prepare, check, block:
///     PollWaiter waiter;
///     for (each file) file.poll(&waiter);
///     TRY(waiter.wait_until([&] { any file.poll(nullptr) }, deadline));
class PollWaiter final : public PollTable {
public:
    PollWaiter() = default;
    ~PollWaiter() { clear(); }
    PollWaiter(const PollWaiter&) = delete;
    PollWaiter& operator=(const PollWaiter&) = delete;

    /// Out of memory is remembered: wait_until() then fails with ENOMEM.
    void add(WaitQueue& queue) override;
    bool failed() const { return m_failed; }

    /// Sleeps until `condition()`; ETIMEDOUT, EINTR.
    template<typename Condition> Result<> wait_until(Condition condition, Nanoseconds deadline)
    {
        if (m_failed)
            return Errno::ENOMEM;
        while (true) {
            prepare_to_block(Interruptible::Yes);
            queue_again();
            if (condition()) {
                cancel_block();
                return {};
            }
            auto result = block(deadline);
            if (condition())
                return {};
            TRY(std::move(result));
        }
    }

private:
    struct Entry {
        explicit Entry(WaitQueue& to)
            : waiter(arch::current_thread())
            , queue(to)
        {
            queue.add(waiter);
        }
        ~Entry() { queue.remove(waiter); }
        void queue_again()
        {
            // Waking takes a waiter off its queue.
            if (!waiter.is_queued())
                queue.add(waiter);
        }
        Waiter waiter;
        WaitQueue& queue;
    };
    void clear();
    void queue_again();

    static constexpr usize k_inline = 6;
    std::array<std::optional<Entry>, k_inline> m_few;
    usize m_count { 0 };
    Vector<OwnPtr<Entry>> m_more;
    bool m_failed { false };
};

} // namespace eremite
