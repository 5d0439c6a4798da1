#include "file/timer_fd.h"
#include "syscall/sys_time.h"
#include "syscall/time_argument.h"

namespace eremite {

namespace {

Result<TimerFile*> timer_file(File& file)
{
    // Without RTTI: the descriptor tells what it is.
    String description = TRY(file.description());
    if (description.view() != "anon_inode:[timerfd]")
        return Errno::EINVAL;
    return static_cast<TimerFile*>(&file);
}

abi::IntervalTimerSpec to_spec(const IntervalTimer::Setting& setting)
{
    return { to_time_spec(setting.interval), to_time_spec(setting.value) };
}

} // namespace

Result<long> sys_timerfd_create(int clock, int flags)
{
    auto unsigned_flags = static_cast<u32>(flags);
    if ((unsigned_flags & ~(abi::k_o_nonblock | abi::k_o_cloexec)) != 0)
        return Errno::EINVAL;
    auto file = TRY(TimerFile::create(clock, unsigned_flags & abi::k_o_nonblock));
    return TRY(fd_table().install(std::move(file), (unsigned_flags & abi::k_o_cloexec) != 0));
}

Result<long> sys_timerfd_settime(
    int fd, int flags, UserPointer<abi::IntervalTimerSpec> value, UserPointer<abi::IntervalTimerSpec> old)
{
    if ((flags & ~(abi::k_tfd_timer_abstime | abi::k_tfd_timer_cancel_on_set)) != 0)
        return Errno::EINVAL;
    abi::IntervalTimerSpec spec = TRY(value.read());
    IntervalTimer::Setting setting { TRY(to_nanoseconds(spec.value)), TRY(to_nanoseconds(spec.interval)) };
    auto file = TRY(fd_table().get(fd));
    IntervalTimer::Setting previous
        = TRY(timer_file(*file))
              ->set(setting, (flags & abi::k_tfd_timer_abstime) != 0, (flags & abi::k_tfd_timer_cancel_on_set) != 0);
    if (!old.is_null())
        TRY(old.write(to_spec(previous)));
    return 0;
}

Result<long> sys_timerfd_gettime(int fd, UserPointer<abi::IntervalTimerSpec> value)
{
    auto file = TRY(fd_table().get(fd));
    TRY(value.write(to_spec(TRY(timer_file(*file))->get())));
    return 0;
}

} // namespace eremite
