#include "syscall/sys_poll.h"

#include "arch/clock.h"
#include "file/epoll_file.h"
#include "file/event_file.h"
#include "file/pipe.h"
#include "file/poll_waiter.h"
#include "sched/signal_mask.h"
#include "syscall/time_argument.h"

#include <algorithm>

namespace eremite {

namespace {

/// 0: don't wait; max(): for ever.
Nanoseconds deadline_after(int milliseconds)
{
    if (milliseconds < 0)
        return Nanoseconds::max();
    if (milliseconds == 0)
        return {};
    return arch::now() + Nanoseconds::from_milliseconds(milliseconds);
}

Result<Nanoseconds> deadline_after(UserPointer<abi::TimeSpec> timeout)
{
    if (!timeout)
        return Nanoseconds::max();
    const Nanoseconds span = TRY(to_nanoseconds(TRY(timeout.read())));
    return span == Nanoseconds() ? span : arch::now() + span;
}

/// One descriptor that is waited for.
struct Watched {
    RefPtr<File> file;
    u32 events { 0 };
    u32 returned { 0 };
};

/// Waits until one of them is ready; `returned` says what is. How many are.
Result<usize> wait_for_files(std::span<Watched> files, Nanoseconds deadline)
{
    usize ready = 0;
    const auto look = [&](PollTable* table) {
        ready = 0;
        for (Watched& watched : files) {
            if (!watched.file)
                continue;
            // Once something is ready nobody will wait: no queue is needed any more.
            watched.returned
                = watched.file->poll(ready == 0 ? table : nullptr) & (watched.events | abi::k_pollerr | abi::k_pollhup);
            ready += watched.returned != 0;
        }
        return ready != 0;
    };
    if (look(nullptr) || deadline == Nanoseconds())
        return ready;
    PollWaiter waiter;
    if (look(&waiter))
        return ready;
    auto waited = waiter.wait_until([&] { return look(nullptr); }, deadline);
    if (waited.is_error() && waited.error() != Errno::ETIMEDOUT)
        return waited.error();
    return ready;
}

Result<long> poll_files(UserPointer<abi::PollFd> fds, u32 count, Nanoseconds deadline)
{
    if (count > fd_table().limit())
        return Errno::EINVAL;
    Vector<abi::PollFd> entries;
    TRY(entries.try_resize(count));
    TRY(UserSpan<abi::PollFd>(fds, count).copy_to_kernel(entries.span()));
    Vector<Watched> watched;
    TRY(watched.try_resize(count));
    usize invalid = 0;
    for (u32 i = 0; i < count; ++i) {
        entries[i].returned = 0;
        if (entries[i].fd < 0)
            continue;
        auto file = fd_table().get(entries[i].fd);
        if (file.is_error() || (file.value()->flags() & abi::k_o_path) != 0) {
            entries[i].returned = abi::k_pollnval;
            ++invalid;
            continue;
        }
        watched[i].file = file.release_value();
        watched[i].events = entries[i].events;
    }
    const usize ready = TRY(wait_for_files(watched.span(), invalid != 0 ? Nanoseconds() : deadline));
    for (u32 i = 0; i < count; ++i) {
        const u32 returned = entries[i].returned | watched[i].returned;
        TRY(UserPointer<u16>(fds.at(i).address() + 6).write(static_cast<u16>(returned)));
    }
    return static_cast<long>(ready + invalid);
}

constexpr u32 k_select_readable = abi::k_pollin | abi::k_pollrdnorm | abi::k_pollhup | abi::k_pollerr;
constexpr u32 k_select_writable = abi::k_pollout | abi::k_pollwrnorm | abi::k_pollerr;
constexpr u32 k_select_special = abi::k_pollpri;

Result<long> select_files(int count, std::array<UserPointer<u64>, 3> sets, Nanoseconds deadline)
{
    if (count < 0)
        return Errno::EINVAL;
    const auto bits = static_cast<u32>(std::min<u32>(static_cast<u32>(count), fd_table().limit()));
    const usize words = (bits + 63) / 64;
    std::array<Vector<u64>, 3> wanted;
    for (usize set = 0; set < sets.size(); ++set) {
        TRY(wanted[set].try_resize(words));
        if (sets[set])
            TRY(UserSpan<u64>(sets[set], words).copy_to_kernel(wanted[set].span()));
    }
    const auto bit_of = [&](usize set, u32 fd) { return (wanted[set][fd / 64] >> (fd % 64) & 1) != 0; };
    constexpr std::array<u32, 3> masks { k_select_readable, k_select_writable, k_select_special };

    Vector<Watched> watched;
    Vector<u32> numbers;
    for (u32 fd = 0; fd < bits; ++fd) {
        u32 events = 0;
        for (usize set = 0; set < sets.size(); ++set)
            events |= bit_of(set, fd) ? masks[set] : 0;
        if (events == 0)
            continue;
        TRY(numbers.try_append(fd));
        TRY(watched.try_append(Watched { TRY(fd_table().get(static_cast<int>(fd))), events, 0 }));
    }
    // Errors and hang-ups count only for sets that ask.
    static_cast<void>(TRY(wait_for_files(watched.span(), deadline)));

    std::array<Vector<u64>, 3> result;
    long ready = 0;
    for (usize set = 0; set < sets.size(); ++set) {
        TRY(result[set].try_resize(words));
        for (usize i = 0; i < watched.size(); ++i) {
            const u32 fd = numbers[i];
            if (!bit_of(set, fd) || (watched[i].returned & masks[set]) == 0)
                continue;
            result[set][fd / 64] |= u64 { 1 } << (fd % 64);
            ++ready;
        }
        if (sets[set])
            TRY(UserSpan<u64>(sets[set], words).copy_from_kernel(result[set].span()));
    }
    return ready;
}

/// Runs `wait` with the signal mask at `mask` in force, if it isn't null.
template<typename Wait> Result<long> with_mask(UserPointer<u64> mask, usize mask_size, Wait wait)
{
    TemporarySignalMask temporary;
    TRY(temporary.begin(mask, mask_size));
    Result<long> result = wait();
    temporary.end(result.is_error() && result.error() == Errno::EINTR);
    return result;
}

Result<long> wait_for_events(int fd, UserPointer<abi::EpollEvent> events, int count, Nanoseconds deadline)
{
    constexpr int k_max_events = INT32_MAX / static_cast<int>(sizeof(abi::EpollEvent));
    if (count <= 0 || count > k_max_events)
        return Errno::EINVAL;
    BorrowedFile file(fd);
    if (!file)
        return Errno::EBADF;
    EpollFile* epoll = file->epoll();
    if (!epoll)
        return Errno::EINVAL;
    return static_cast<long>(TRY(epoll->wait(events, static_cast<usize>(count), deadline)));
}

} // namespace

Result<long> sys_poll(UserPointer<abi::PollFd> fds, u32 count, int timeout)
{
    ER_NEEDS(terminal);
    return poll_files(fds, count, deadline_after(timeout));
}

Result<long> sys_ppoll(
    UserPointer<abi::PollFd> fds, u32 count, UserPointer<abi::TimeSpec> timeout, UserPointer<u64> mask, usize mask_size)
{
    ER_NEEDS(terminal);
    const Nanoseconds deadline = TRY(deadline_after(timeout));
    return with_mask(mask, mask_size, [&] { return poll_files(fds, count, deadline); });
}

Result<long> sys_select(int count, UserPointer<u64> readable, UserPointer<u64> writable, UserPointer<u64> special,
    UserPointer<abi::TimeVal> timeout)
{
    ER_NEEDS(terminal);
    Nanoseconds deadline = Nanoseconds::max();
    if (timeout) {
        // Linux takes more than a second's worth of microseconds.
        const abi::TimeVal value = TRY(timeout.read());
        if (value.seconds < 0 || value.microseconds < 0)
            return Errno::EINVAL;
        const Nanoseconds span = Nanoseconds::from_seconds(std::min<i64>(value.seconds, 1'000'000'000))
            + Nanoseconds::from_microseconds(std::min<i64>(value.microseconds, 1'000'000'000'000));
        deadline = span == Nanoseconds() ? span : arch::now() + span;
    }
    Result<long> result = select_files(count, { readable, writable, special }, deadline);
    if (timeout && deadline != Nanoseconds()) {
        const Nanoseconds left = std::max(deadline - arch::now(), Nanoseconds());
        // As on Linux, a timeout that can't be written doesn't matter.
        static_cast<void>(timeout.write(to_time_val(left)));
    }
    return result;
}

Result<long> sys_pselect6(int count, UserPointer<u64> readable, UserPointer<u64> writable, UserPointer<u64> special,
    UserPointer<abi::TimeSpec> timeout, UserPointer<u64> mask_and_size)
{
    ER_NEEDS(terminal);
    const Nanoseconds deadline = TRY(deadline_after(timeout));
    UserPointer<u64> mask;
    usize mask_size = 0;
    if (mask_and_size) {
        mask = UserPointer<u64>(TRY(mask_and_size.read()));
        mask_size = TRY(mask_and_size.at(1).read());
    }
    return with_mask(mask, mask_size, [&] { return select_files(count, { readable, writable, special }, deadline); });
}

Result<long> sys_epoll_create(int size)
{
    if (size <= 0)
        return Errno::EINVAL;
    return sys_epoll_create1(0);
}

Result<long> sys_epoll_create1(u32 flags)
{
    if ((flags & ~abi::k_o_cloexec) != 0)
        return Errno::EINVAL;
    return TRY(fd_table().install(TRY(EpollFile::create(0)), flags != 0));
}

Result<long> sys_epoll_ctl(int epoll_fd, int operation, int fd, UserPointer<abi::EpollEvent> event)
{
    ER_NEEDS(terminal);
    abi::EpollEvent wanted {};
    if (operation != abi::k_epoll_ctl_del)
        wanted = TRY(event.read());
    BorrowedFile file(epoll_fd);
    BorrowedFile target(fd);
    if (!file || !target || (target->flags() & abi::k_o_path) != 0)
        return Errno::EBADF;
    if (!target->can_poll())
        return Errno::EPERM;
    EpollFile* epoll = file->epoll();
    if (!epoll || &*file == &*target)
        return Errno::EINVAL;
    switch (operation) {
    case abi::k_epoll_ctl_add:
        TRY(epoll->add(*target, fd, wanted));
        return 0;
    case abi::k_epoll_ctl_mod:
        TRY(epoll->modify(*target, fd, wanted));
        return 0;
    case abi::k_epoll_ctl_del:
        TRY(epoll->remove(*target, fd));
        return 0;
    default:
        return Errno::EINVAL;
    }
}

Result<long> sys_epoll_wait(int fd, UserPointer<abi::EpollEvent> events, int count, int timeout)
{
    return wait_for_events(fd, events, count, deadline_after(timeout));
}

Result<long> sys_epoll_pwait(
    int fd, UserPointer<abi::EpollEvent> events, int count, int timeout, UserPointer<u64> mask, usize mask_size)
{
    if (!mask)
        return wait_for_events(fd, events, count, deadline_after(timeout));
    return with_mask(mask, mask_size, [&] { return wait_for_events(fd, events, count, deadline_after(timeout)); });
}

Result<long> sys_epoll_pwait2(int fd, UserPointer<abi::EpollEvent> events, int count,
    UserPointer<abi::TimeSpec> timeout, UserPointer<u64> mask, usize mask_size)
{
    const Nanoseconds deadline = TRY(deadline_after(timeout));
    return with_mask(mask, mask_size, [&] { return wait_for_events(fd, events, count, deadline); });
}

Result<long> sys_pipe(UserPointer<i32> fds)
{
    return sys_pipe2(fds, 0);
}

Result<long> sys_pipe2(UserPointer<i32> fds, u32 flags)
{
    if ((flags & ~(abi::k_o_cloexec | abi::k_o_nonblock)) != 0)
        return Errno::EINVAL; // O_DIRECT: packets are not kept apart here
    RefPtr<File> reader;
    RefPtr<File> writer;
    TRY(PipeFile::create_pair(flags & abi::k_o_nonblock, reader, writer));
    const bool close_on_exec = (flags & abi::k_o_cloexec) != 0;
    const int first = TRY(fd_table().install(std::move(reader), close_on_exec));
    auto second = fd_table().install(std::move(writer), close_on_exec);
    Result<> copied;
    if (!second.is_error()) {
        copied = fds.write(first);
        if (!copied.is_error())
            copied = fds.at(1).write(second.value());
        if (!copied.is_error())
            return 0;
        static_cast<void>(fd_table().close(second.value()));
    }
    static_cast<void>(fd_table().close(first));
    return second.is_error() ? second.error() : copied.error();
}

Result<long> sys_eventfd(u32 initial)
{
    return sys_eventfd2(initial, 0);
}

Result<long> sys_eventfd2(u32 initial, u32 flags)
{
    constexpr u32 semaphore = 1;
    if ((flags & ~(semaphore | abi::k_o_cloexec | abi::k_o_nonblock)) != 0)
        return Errno::EINVAL;
    RefPtr<File> file = TRY(EventFile::create(initial, (flags & semaphore) != 0, flags & abi::k_o_nonblock));
    return TRY(fd_table().install(std::move(file), (flags & abi::k_o_cloexec) != 0));
}

} // namespace eremite
