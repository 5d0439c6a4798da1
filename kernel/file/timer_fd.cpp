#include "file/timer_fd.h"

#include "abi/process.h"
#include "sched/clock_id.h"

namespace eremite {

TimerFile::TimerFile(int clock, u32 flags)
    : File(abi::k_o_rdwr | flags)
    , m_clock_waiter(clock_was_set, this)
    , m_timer(clock, *this)
{
    if (is_realtime_clock(clock))
        realtime_changed().add(m_clock_waiter);
}

TimerFile::~TimerFile()
{
    if (m_clock_waiter.is_queued())
        realtime_changed().remove(m_clock_waiter);
    m_timer.set({}, false);
}

Result<RefPtr<TimerFile>> TimerFile::create(int clock, u32 flags)
{
    switch (clock) {
    case abi::k_clock_realtime:
    case abi::k_clock_monotonic:
    case abi::k_clock_boottime:
    case abi::k_clock_realtime_alarm:
    case abi::k_clock_boottime_alarm:
        return make_ref<TimerFile>(clock, flags);
    default:
        return Errno::EINVAL;
    }
}

void TimerFile::expired(IntervalTimer& timer, u64 expirations)
{
    TimerFile& self = static_cast<Owned&>(timer).owner;
    {
        Locked lock(self.m_lock);
        self.m_expirations += expirations;
    }
    self.m_readers.wake(1, abi::k_pollin);
}

void TimerFile::clock_was_set(Waiter& waiter, u32)
{
    auto& self = *static_cast<TimerFile*>(waiter.context());
    {
        Locked lock(self.m_lock);
        self.m_is_cancelled |= self.m_cancel_on_set;
    }
    self.m_readers.wake_all(abi::k_pollin);
}

IntervalTimer::Setting TimerFile::set(const IntervalTimer::Setting& setting, bool is_absolute, bool cancel_on_set)
{
    IntervalTimer::Setting old = m_timer.set({}, false);
    {
        Locked lock(m_lock);
        m_expirations = 0;
        m_is_cancelled = false;
        m_cancel_on_set = cancel_on_set && is_absolute && is_realtime_clock(m_timer.clock());
    }
    m_timer.set(setting, is_absolute);
    return old;
}

Result<usize> TimerFile::read(IoBuffer buffer)
{
    if (buffer.size() < sizeof(u64))
        return Errno::EINVAL;
    u64 expirations = 0;
    {
        Locked lock(m_lock);
        auto is_ready = [&]() NO_THREAD_SAFETY_ANALYSIS { return m_expirations != 0 || m_is_cancelled; };
        if (!is_ready()) {
            if (is_nonblocking())
                return Errno::EAGAIN;
            TRY(m_readers.wait_until(m_lock, is_ready, Nanoseconds::max(), Interruptible::Yes, true));
        }
        if (std::exchange(m_is_cancelled, false))
            return Errno::ECANCELED;
        expirations = std::exchange(m_expirations, 0);
    }
    TRY(buffer.write({ reinterpret_cast<const u8*>(&expirations), sizeof(expirations) }));
    return sizeof(expirations);
}

u32 TimerFile::poll(PollTable* table)
{
    if (table)
        table->add(m_readers);
    Locked lock(m_lock);
    return m_expirations != 0 || m_is_cancelled ? abi::k_pollin | abi::k_pollrdnorm : 0;
}

Result<> TimerFile::stat(abi::Stat& stat)
{
    stat = {};
    stat.mode = 0600;
    stat.link_count = 1;
    stat.block_size = k_page_size;
    return {};
}

} // namespace eremite
