// Socket addresses between the application's sockaddr and the kernel's SocketAddress.
#pragma once

#include "net/socket.h"

namespace eremite {

/// EINVAL (length), EFAULT.
Result<> read_socket_address(UserPointer<u8> pointer, u32 length, net::SocketAddress& address);
/// Cut to the room that *length says; *length becomes what it would have taken. EFAULT, EINVAL.
Result<> write_socket_address(const net::SocketAddress& address, UserPointer<u8> pointer, UserPointer<u32> length);
/// Into `bytes`; returns the length.
usize encode_socket_address(const net::SocketAddress& address, std::span<u8, 128> bytes);

/// An AF_NETLINK socket for NETLINK_ROUTE, as much as getifaddrs(3) and if_nameindex(3) need. EPROTONOSUPPORT, ENOMEM.
Result<net::SocketRef> create_netlink_socket(net::Stack& stack, int type, int protocol);

} // namespace eremite
