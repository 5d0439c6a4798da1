// System calls on sockets. Linux's manual pages say what each does.
#pragma once

#include "abi/fs.h"
#include "abi/socket.h"
#include "syscall/dispatch.h"

namespace eremite {

Result<long> sys_socket(int domain, int type, int protocol);
Result<long> sys_socketpair(int domain, int type, int protocol, UserPointer<i32> fds);
Result<long> sys_bind(int fd, UserPointer<u8> address, u32 length);
Result<long> sys_listen(int fd, int backlog);
Result<long> sys_accept(int fd, UserPointer<u8> address, UserPointer<u32> length);
RESTARTS(sys_accept);
Result<long> sys_accept4(int fd, UserPointer<u8> address, UserPointer<u32> length, int flags);
RESTARTS(sys_accept4);
Result<long> sys_connect(int fd, UserPointer<u8> address, u32 length);
Result<long> sys_getsockname(int fd, UserPointer<u8> address, UserPointer<u32> length);
Result<long> sys_getpeername(int fd, UserPointer<u8> address, UserPointer<u32> length);
Result<long> sys_sendto(int fd, UserPointer<u8> buffer, usize size, u32 flags, UserPointer<u8> address, u32 length);
RESTARTS(sys_sendto);
Result<long> sys_recvfrom(
    int fd, UserPointer<u8> buffer, usize size, u32 flags, UserPointer<u8> address, UserPointer<u32> length);
RESTARTS(sys_recvfrom);
Result<long> sys_sendmsg(int fd, UserPointer<abi::MessageHeader> message, u32 flags);
RESTARTS(sys_sendmsg);
Result<long> sys_recvmsg(int fd, UserPointer<abi::MessageHeader> message, u32 flags);
RESTARTS(sys_recvmsg);
Result<long> sys_sendmmsg(int fd, UserPointer<abi::MultiMessageHeader> messages, u32 count, u32 flags);
Result<long> sys_recvmmsg(
    int fd, UserPointer<abi::MultiMessageHeader> messages, u32 count, u32 flags, UserPointer<abi::TimeSpec> timeout);
Result<long> sys_shutdown(int fd, int how);
Result<long> sys_setsockopt(int fd, int level, int name, UserPointer<u8> value, u32 length);
Result<long> sys_getsockopt(int fd, int level, int name, UserPointer<u8> value, UserPointer<u32> length);

} // namespace eremite
