// Timers that send signals: POSIX timers, interval timers, alarm.
#include "base/vector.h"
#include "sched/clock_id.h"
#include "sched/interval_timer.h"
#include "sched/signal.h"
#include "sched/signal_hooks.h"
#include "sched/wait_queue.h"
#include "syscall/sys_time.h"
#include "syscall/time_argument.h"

namespace eremite {

namespace {

Result<IntervalTimer::Setting> to_setting(const abi::IntervalTimerSpec& spec)
{
    return IntervalTimer::Setting { TRY(to_nanoseconds(spec.value)), TRY(to_nanoseconds(spec.interval)) };
}

abi::IntervalTimerSpec to_spec(const IntervalTimer::Setting& setting)
{
    return { to_time_spec(setting.interval), to_time_spec(setting.value) };
}

// --- POSIX timers

struct PosixTimer {
    explicit PosixTimer(int clock)
        : timer(clock, expired)
    {
    }
    ~PosixTimer()
    {
        timer.set({}, false);
        withdraw_signal(signal, thread.get());
    }

    static void expired(IntervalTimer& timer, u64 expirations);

    IntervalTimer timer; // first: expired() finds the rest from it
    QueuedSignal signal {};
    bool is_silent { false };
    RefPtr<Thread> thread; // SIGEV_THREAD_ID
    std::atomic<u64> overrun { 0 };
    std::atomic<i32> last_overrun { 0 };
};

void PosixTimer::expired(IntervalTimer& timer, u64 expirations)
{
    auto& self = *reinterpret_cast<PosixTimer*>(&timer);
    static_assert(offsetof(PosixTimer, timer) == 0);
    if (self.is_silent)
        return;
    // While the last signal waits to be delivered, there is no other: what it missed is counted in it.
    if (self.signal.is_queued.load(std::memory_order_acquire)) {
        u64 missed = self.overrun.fetch_add(expirations) + expirations;
        self.signal.information.fields.timer.overrun = static_cast<i32>(std::min<u64>(missed, INT32_MAX));
        self.last_overrun.store(self.signal.information.fields.timer.overrun);
        return;
    }
    self.overrun.store(expirations - 1);
    self.signal.information.fields.timer.overrun = static_cast<i32>(std::min<u64>(expirations - 1, INT32_MAX));
    self.last_overrun.store(self.signal.information.fields.timer.overrun);
    static_cast<void>(send_signal(self.signal, self.thread.get()));
}

constexpr usize k_max_timers = 4096;
constinit Mutex s_lock;
// Never freed: timers live as long as the process.
constinit Vector<OwnPtr<PosixTimer>>* s_timers GUARDED_BY(s_lock) { nullptr };

Result<Vector<OwnPtr<PosixTimer>>*> timers() REQUIRES(s_lock)
{
    if (!s_timers)
        s_timers = TRY((make<Vector<OwnPtr<PosixTimer>>>())).leak();
    return s_timers;
}

Result<PosixTimer*> find(int id) REQUIRES(s_lock)
{
    auto index = static_cast<usize>(id);
    if (id < 0 || !s_timers || index >= s_timers->size() || !(*s_timers)[index])
        return Errno::EINVAL;
    return (*s_timers)[index].get();
}

Result<usize> free_place() REQUIRES(s_lock)
{
    auto& all = *TRY(timers());
    for (usize i = 0; i < all.size(); ++i) {
        if (!all[i])
            return i;
    }
    if (all.size() == k_max_timers)
        return Errno::EAGAIN;
    TRY(all.try_append(nullptr));
    return all.size() - 1;
}

} // namespace

Result<long> sys_timer_create(int clock, UserPointer<abi::SignalEvent> pointer, UserPointer<i32> id)
{
    TRY(clock_now(clock));
    // A thread's own clock, by whoever looks at it later.
    if (clock == abi::k_clock_thread_cputime)
        clock = static_cast<int>(~static_cast<u32>(current().tid()) << 3 | 6);
    abi::SignalEvent event { .number = abi::k_sigalrm, .notify = abi::k_sigev_signal };
    if (!pointer.is_null())
        event = TRY(pointer.read());
    auto timer = TRY(make<PosixTimer>(clock));
    timer->signal.is_timers = true;
    timer->is_silent = event.notify == abi::k_sigev_none;
    if (!timer->is_silent && (event.number < 1 || event.number > abi::k_sigmax))
        return Errno::EINVAL;
    switch (event.notify) {
    case abi::k_sigev_none:
    case abi::k_sigev_signal:
        break;
    case abi::k_sigev_thread_id | abi::k_sigev_signal:
        timer->thread = ThreadTable::find(event.thread_id);
        if (!timer->thread)
            return Errno::EINVAL;
        break;
    default:
        return Errno::EINVAL; // SIGEV_THREAD is the C library's
    }
    enable_signals();
    Locked lock(s_lock);
    usize place = TRY(free_place());
    timer->signal.information.number = event.number;
    timer->signal.information.code = abi::k_si_timer;
    timer->signal.information.fields.timer.id = static_cast<i32>(place);
    timer->signal.information.fields.timer.value = pointer.is_null() ? place : event.value;
    TRY(id.write(static_cast<i32>(place)));
    (*s_timers)[place] = std::move(timer);
    return 0;
}

Result<long> sys_timer_settime(
    int id, int flags, UserPointer<abi::IntervalTimerSpec> value, UserPointer<abi::IntervalTimerSpec> old)
{
    IntervalTimer::Setting setting = TRY(to_setting(TRY(value.read())));
    IntervalTimer::Setting previous;
    {
        Locked lock(s_lock);
        PosixTimer& timer = *TRY(find(id));
        previous = timer.timer.set(setting, (flags & abi::k_timer_abstime) != 0);
    }
    if (!old.is_null())
        TRY(old.write(to_spec(previous)));
    return 0;
}

Result<long> sys_timer_gettime(int id, UserPointer<abi::IntervalTimerSpec> value)
{
    IntervalTimer::Setting setting;
    {
        Locked lock(s_lock);
        setting = TRY(find(id))->timer.get();
    }
    TRY(value.write(to_spec(setting)));
    return 0;
}

Result<long> sys_timer_getoverrun(int id)
{
    Locked lock(s_lock);
    return TRY(find(id))->last_overrun.load();
}

Result<long> sys_timer_delete(int id)
{
    Locked lock(s_lock);
    TRY(find(id));
    (*s_timers)[static_cast<usize>(id)] = nullptr;
    return 0;
}

// --- Interval timers

namespace {

struct ProcessTimer {
    int clock;
    int signal;
    std::atomic<IntervalTimer*> timer { nullptr };
};

// By ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF. User and system time aren't told apart.
constinit std::array<ProcessTimer, 3> s_process_timers { {
    { abi::k_clock_monotonic, abi::k_sigalrm },
    { abi::k_clock_process_cputime, abi::k_sigvtalrm },
    { abi::k_clock_process_cputime, abi::k_sigprof },
} };

void process_timer_expired(IntervalTimer& timer, u64)
{
    for (ProcessTimer& entry : s_process_timers) {
        if (entry.timer.load(std::memory_order_relaxed) == &timer)
            send_kernel_signal(entry.signal);
    }
}

Result<IntervalTimer*> process_timer(int which)
{
    if (which < 0 || static_cast<usize>(which) >= s_process_timers.size())
        return Errno::EINVAL;
    ProcessTimer& entry = s_process_timers[static_cast<usize>(which)];
    Locked lock(s_lock);
    if (!entry.timer.load())
        entry.timer.store(TRY(make<IntervalTimer>(entry.clock, process_timer_expired)).leak());
    return entry.timer.load();
}

abi::IntervalTimerVal to_val(const IntervalTimer::Setting& setting)
{
    return { to_time_val(setting.interval), to_time_val(setting.value + Nanoseconds(999)) };
}

} // namespace

Result<long> sys_getitimer(int which, UserPointer<abi::IntervalTimerVal> value)
{
    IntervalTimer::Setting setting = TRY(process_timer(which))->get();
    TRY(value.write(to_val(setting)));
    return 0;
}

Result<long> sys_setitimer(int which, UserPointer<abi::IntervalTimerVal> value, UserPointer<abi::IntervalTimerVal> old)
{
    IntervalTimer* timer = TRY(process_timer(which));
    abi::IntervalTimerVal wanted = TRY(value.read());
    IntervalTimer::Setting setting { TRY(to_nanoseconds(wanted.value)), TRY(to_nanoseconds(wanted.interval)) };
    IntervalTimer::Setting previous = timer->set(setting, false);
    if (!old.is_null())
        TRY(old.write(to_val(previous)));
    return 0;
}

Result<long> sys_alarm(u32 seconds)
{
    IntervalTimer* timer = TRY(process_timer(0));
    IntervalTimer::Setting previous = timer->set({ Nanoseconds::from_seconds(seconds), {} }, false);
    // Rounded, but what is armed is never told as 0.
    i64 left = (previous.value + Nanoseconds(500'000'000)).seconds();
    return left == 0 && previous.value != Nanoseconds(0) ? 1 : left;
}

} // namespace eremite
