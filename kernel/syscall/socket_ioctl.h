// ioctl(2) on sockets: bytes waiting, and the interfaces (netdevice(7)).
#pragma once

#include "net/socket.h"

namespace eremite {

/// ENOTTY for what it doesn't know.
Result<long> socket_ioctl(net::Socket& socket, u32 request, u64 argument);

} // namespace eremite
