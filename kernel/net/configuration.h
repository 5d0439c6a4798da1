// How an interface gets its address: `ip=` on the command line, in Linux's form or as ADDRESS/PREFIX.
#pragma once

#include "net/ip_address.h"
#include <optional>

namespace eremite::net {

struct IpConfiguration {
    enum class Method : u8 { Dhcp, Static, None };

    Method method { Method::Dhcp };
    IpAddress address {};
    u8 prefix { 0 };
    std::optional<IpAddress> gateway {};
    std::string_view host_name {};
    std::string_view device {};
    std::array<IpAddress, 2> nameservers {};
    usize nameserver_count { 0 };
};

/// `ip` is the option's value, of:
///     ADDRESS/PREFIX                     10.0.0.2/24, fd00::2/64
///     CLIENT:SERVER:GATEWAY:NETMASK:HOST:DEVICE:AUTO:DNS:DNS      (Linux, Documentation/admin-guide/nfs/nfsroot.rst)
///     dhcp, on, any, both                ask
///     off, none                          no address
/// Empty result: nonsense.
std::optional<IpConfiguration> parse_ip_option(std::string_view ip);

} // namespace eremite::net
