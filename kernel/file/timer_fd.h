// timerfd_create(2): a timer whose expirations are read.
#pragma once

#include "file/file.h"
#include "sched/interval_timer.h"

namespace eremite {

class TimerFile final : public File {
public:
    /// EINVAL: not a clock that timerfd takes.
    static Result<RefPtr<TimerFile>> create(int clock, u32 flags);
    ~TimerFile() override;

    Result<usize> read(IoBuffer buffer) override;
    Result<> stat(abi::Stat& stat) override;
    u32 poll(PollTable* table) override;
    Result<String> description() override { return String::create("anon_inode:[timerfd]"); }

    /// `cancel_on_set`: a read fails with ECANCELED if the wall clock was set since.
    IntervalTimer::Setting set(const IntervalTimer::Setting& setting, bool is_absolute, bool cancel_on_set);
    IntervalTimer::Setting get() { return m_timer.get(); }

private:
    template<typename T, typename... Arguments> friend Result<RefPtr<T>> make_ref(Arguments&&...);
    TimerFile(int clock, u32 flags);

    static void expired(IntervalTimer& timer, u64 expirations);
    static void clock_was_set(Waiter& waiter, u32 events);

    struct Owned : IntervalTimer {
        Owned(int clock, TimerFile& file)
            : IntervalTimer(clock, expired)
            , owner(file)
        {
        }
        TimerFile& owner;
    };

    InterruptSpinLock m_lock;
    WaitQueue m_readers;
    u64 m_expirations GUARDED_BY(m_lock) { 0 };
    bool m_cancel_on_set GUARDED_BY(m_lock) { false };
    bool m_is_cancelled GUARDED_BY(m_lock) { false };
    Waiter m_clock_waiter;
    Owned m_timer;
};

} // namespace eremite
