#include "syscall/sys_socket.h"

#include "fs/operations.h"
#include "net/stack.h"
#include "net/unix_socket.h"
#include "syscall/network.h"
#include "syscall/socket_address.h"
#include "syscall/socket_file.h"

#include <algorithm>

namespace eremite {

namespace {

/// The socket behind a descriptor for the length of a call.
class BorrowedSocket {
public:
    explicit BorrowedSocket(int fd)
        : m_file(fd)
        , m_socket(m_file ? m_file->socket() : nullptr)
    {
    }
    Result<> check() const
    {
        if (m_socket) [[likely]]
            return {};
        return m_file ? Errno::ENOTSOCK : Errno::EBADF;
    }
    net::Socket* operator->() const { return m_socket; }
    net::Socket& operator*() const { return *m_socket; }
    bool is_nonblocking(u32 flags) const { return (flags & abi::k_msg_dontwait) != 0 || m_file->is_nonblocking(); }

private:
    BorrowedFile m_file;
    net::Socket* m_socket;
};

Result<long> install(net::SocketRef socket, int flags)
{
    auto file = TRY(SocketFile::create(std::move(socket), (flags & abi::k_sock_nonblock) != 0 ? abi::k_o_nonblock : 0));
    return TRY(fd_table().install(std::move(file), (flags & abi::k_sock_cloexec) != 0));
}

} // namespace

Result<long> sys_socket(int domain, int type, int protocol)
{
    constexpr int flags = abi::k_sock_nonblock | abi::k_sock_cloexec;
    int kind = type & ~flags;
    if ((kind & ~15) != 0)
        return Errno::EINVAL;
    if (domain == abi::k_af_unix)
        return install(TRY(net::UnixSocket::create(kind, protocol)), type & flags);
    if (domain == abi::k_af_netlink)
        return install(TRY(create_netlink_socket(net::kernel_stack(), kind, protocol)), type & flags);
    return install(TRY(net::create_internet_socket(net::kernel_stack(), domain, kind, protocol)), type & flags);
}

Result<long> sys_socketpair(int domain, int type, int protocol, UserPointer<i32> fds)
{
    constexpr int flags = abi::k_sock_nonblock | abi::k_sock_cloexec;
    if (domain != abi::k_af_unix)
        return domain == abi::k_af_inet || domain == abi::k_af_inet6 ? Errno::EOPNOTSUPP : Errno::EAFNOSUPPORT;
    auto pair = TRY(net::UnixSocket::create_pair(type & ~flags, protocol));
    int first = static_cast<int>(TRY(install(pair[0], type & flags)));
    auto second = install(pair[1], type & flags);
    Result<> written = second.is_error() ? Result<>(second.error()) : fds.write(first);
    if (written.has_value())
        written = fds.at(1).write(static_cast<i32>(second.value()));
    if (written.is_error()) {
        static_cast<void>(fd_table().close(first).has_value());
        if (second.has_value())
            static_cast<void>(fd_table().close(static_cast<int>(second.value())).has_value());
        return written.error();
    }
    return 0;
}

Result<long> sys_bind(int fd, UserPointer<u8> address, u32 length)
{
    BorrowedSocket socket(fd);
    TRY(socket.check());
    net::SocketAddress local;
    TRY(read_socket_address(address, length, local));
    // A name in the file system is a file there, which the application removes, where it can do anything with files.
    if (ER_HAS_PART(paths) && local.family == abi::k_af_unix && socket->domain() == abi::k_af_unix
        && local.path_length > 0 && local.path[0] != '\0') {
        auto made = ER_PART(paths).make_node(abi::k_at_fdcwd, local.path_view(), abi::k_s_ifsock | 0777, 0);
        if (made.is_error())
            return made.error() == Errno::EEXIST ? Errno::EADDRINUSE : made.error();
    }
    TRY(socket->bind(local));
    return 0;
}

Result<long> sys_listen(int fd, int backlog)
{
    BorrowedSocket socket(fd);
    TRY(socket.check());
    TRY(socket->listen(backlog));
    return 0;
}

Result<long> sys_accept(int fd, UserPointer<u8> address, UserPointer<u32> length)
{
    return sys_accept4(fd, address, length, 0);
}

Result<long> sys_accept4(int fd, UserPointer<u8> address, UserPointer<u32> length, int flags)
{
    if ((flags & ~(abi::k_sock_nonblock | abi::k_sock_cloexec)) != 0)
        return Errno::EINVAL;
    BorrowedSocket socket(fd);
    TRY(socket.check());
    net::SocketAddress peer;
    auto accepted = TRY(socket->accept(socket.is_nonblocking(0), &peer));
    if (!address.is_null()) {
        if (auto written = write_socket_address(peer, address, length); written.is_error()) {
            accepted->close();
            return written.error();
        }
    }
    return install(std::move(accepted), flags);
}

Result<long> sys_connect(int fd, UserPointer<u8> address, u32 length)
{
    BorrowedSocket socket(fd);
    TRY(socket.check());
    net::SocketAddress remote;
    TRY(read_socket_address(address, length, remote));
    TRY(socket->connect(remote, socket.is_nonblocking(0)));
    return 0;
}

Result<long> sys_getsockname(int fd, UserPointer<u8> address, UserPointer<u32> length)
{
    BorrowedSocket socket(fd);
    TRY(socket.check());
    net::SocketAddress local;
    TRY(socket->local_address(local));
    TRY(write_socket_address(local, address, length));
    return 0;
}

Result<long> sys_getpeername(int fd, UserPointer<u8> address, UserPointer<u32> length)
{
    BorrowedSocket socket(fd);
    TRY(socket.check());
    net::SocketAddress peer;
    TRY(socket->peer_address(peer));
    TRY(write_socket_address(peer, address, length));
    return 0;
}

namespace {

[[gnu::noinline]] Result<usize> send_to(
    net::Socket& socket, const IoBuffer& data, u32 flags, bool nonblocking, UserPointer<u8> address, u32 length)
{
    net::SocketAddress destination;
    TRY(read_socket_address(address, length, destination));
    net::SendRequest request {
        .data = net::IoCursor({ &data, 1 }), .flags = flags, .nonblocking = nonblocking, .destination = &destination
    };
    return send_on(socket, request);
}

[[gnu::noinline]] Result<usize> receive_from(net::Socket& socket, const IoBuffer& data, u32 flags, bool nonblocking,
    UserPointer<u8> address, UserPointer<u32> length)
{
    net::SocketAddress source;
    net::ReceiveRequest request {
        .data = net::IoCursor({ &data, 1 }), .flags = flags, .nonblocking = nonblocking, .source = &source
    };
    usize received = TRY(socket.receive(request));
    TRY(write_socket_address(source, address, length));
    return received;
}

} // namespace

Result<long> sys_sendto(int fd, UserPointer<u8> buffer, usize size, u32 flags, UserPointer<u8> address, u32 length)
{
    BorrowedSocket socket(fd);
    TRY(socket.check());
    IoBuffer data { UserBytes(buffer, std::min(size, abi::k_max_transfer)) };
    bool nonblocking = socket.is_nonblocking(flags);
    if (address.is_null()) [[likely]]
        return static_cast<long>(TRY(send_on(*socket, data, flags, nonblocking)));
    return static_cast<long>(TRY(send_to(*socket, data, flags, nonblocking, address, length)));
}

Result<long> sys_recvfrom(
    int fd, UserPointer<u8> buffer, usize size, u32 flags, UserPointer<u8> address, UserPointer<u32> length)
{
    BorrowedSocket socket(fd);
    TRY(socket.check());
    IoBuffer data { UserBytes(buffer, std::min(size, abi::k_max_transfer)) };
    bool nonblocking = socket.is_nonblocking(flags);
    if (address.is_null()) [[likely]]
        return static_cast<long>(TRY(socket->receive_bytes(data, flags, nonblocking)));
    return static_cast<long>(TRY(receive_from(*socket, data, flags, nonblocking, address, length)));
}

Result<long> sys_shutdown(int fd, int how)
{
    BorrowedSocket socket(fd);
    TRY(socket.check());
    TRY(socket->shutdown(how));
    return 0;
}

Result<long> sys_setsockopt(int fd, int level, int name, UserPointer<u8> value, u32 length)
{
    BorrowedSocket socket(fd);
    TRY(socket.check());
    if (static_cast<i32>(length) < 0)
        return Errno::EINVAL;
    std::array<u8, 256> bytes;
    auto copy = std::span(bytes).first(std::min<usize>(length, bytes.size()));
    TRY(UserBytes(value, copy.size()).copy_to_kernel(copy));
    TRY(socket->set_option(level, name, copy));
    return 0;
}

Result<long> sys_getsockopt(int fd, int level, int name, UserPointer<u8> value, UserPointer<u32> length)
{
    BorrowedSocket socket(fd);
    TRY(socket.check());
    u32 room = TRY(length.read());
    if (static_cast<i32>(room) < 0)
        return Errno::EINVAL;
    std::array<u8, 512> bytes {};
    usize used = TRY(socket->get_option(level, name, std::span(bytes).first(std::min<usize>(room, bytes.size()))));
    TRY(UserBytes(value, used).copy_from_kernel(std::span(bytes).first(used)));
    TRY(length.write(static_cast<u32>(used)));
    return 0;
}

} // namespace eremite
