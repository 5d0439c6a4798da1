// System calls that wait for descriptors: poll, select, epoll; and pipes and event counters, which are waited for.
#pragma once

#include "abi/fs.h"
#include "syscall/dispatch.h"

namespace eremite {

Result<long> sys_poll(UserPointer<abi::PollFd> fds, u32 count, int timeout);
Result<long> sys_ppoll(UserPointer<abi::PollFd> fds, u32 count, UserPointer<abi::TimeSpec> timeout,
    UserPointer<u64> mask, usize mask_size);
Result<long> sys_select(int count, UserPointer<u64> readable, UserPointer<u64> writable, UserPointer<u64> special,
    UserPointer<abi::TimeVal> timeout);
/// The last argument points to a pair: the mask's address and its size.
Result<long> sys_pselect6(int count, UserPointer<u64> readable, UserPointer<u64> writable, UserPointer<u64> special,
    UserPointer<abi::TimeSpec> timeout, UserPointer<u64> mask_and_size);

Result<long> sys_epoll_create(int size);
Result<long> sys_epoll_create1(u32 flags);
Result<long> sys_epoll_ctl(int epoll_fd, int operation, int fd, UserPointer<abi::EpollEvent> event);
Result<long> sys_epoll_wait(int fd, UserPointer<abi::EpollEvent> events, int count, int timeout);
Result<long> sys_epoll_pwait(
    int fd, UserPointer<abi::EpollEvent> events, int count, int timeout, UserPointer<u64> mask, usize mask_size);
Result<long> sys_epoll_pwait2(int fd, UserPointer<abi::EpollEvent> events, int count,
    UserPointer<abi::TimeSpec> timeout, UserPointer<u64> mask, usize mask_size);

Result<long> sys_pipe(UserPointer<i32> fds);
Result<long> sys_pipe2(UserPointer<i32> fds, u32 flags);
Result<long> sys_eventfd(u32 initial);
Result<long> sys_eventfd2(u32 initial, u32 flags);

} // namespace eremite
