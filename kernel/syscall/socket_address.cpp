#include "syscall/socket_address.h"

#include <algorithm>

namespace eremite {

using namespace net;

Result<> read_socket_address(UserPointer<u8> pointer, u32 length, SocketAddress& address)
{
    std::array<u8, 128> bytes {};
    if (length > bytes.size() || length < sizeof(u16))
        return Errno::EINVAL;
    TRY(UserBytes(pointer, length).copy_to_kernel(std::span(bytes).first(length)));
    auto whole = std::span<const u8>(bytes);
    u16 family = std::bit_cast<u16>(*header_at<std::array<u8, 2>>(whole));
    address.family = family;
    address.path_length = 0;
    switch (family) {
    case abi::k_af_inet: {
        if (length < sizeof(abi::SockaddrIn))
            return Errno::EINVAL;
        address.endpoint = { IpAddress::v4(*header_at<Be32>(whole, 4)), *header_at<Be16>(whole, 2), 0 };
        return {};
    }
    case abi::k_af_inet6: {
        if (length < sizeof(abi::SockaddrIn6) - 4) // without the scope, as RFC 2133 had it
            return Errno::EINVAL;
        u32 scope = std::bit_cast<u32>(*header_at<std::array<u8, 4>>(whole, 24));
        address.endpoint
            = { IpAddress::from_wire(*header_at<WireAddress>(whole, 8)), *header_at<Be16>(whole, 2), scope };
        return {};
    }
    case abi::k_af_unix: {
        if (length > sizeof(abi::SockaddrUn))
            return Errno::EINVAL;
        usize path_length = length - sizeof(u16);
        for (usize i = 0; i < path_length; ++i)
            address.path[i] = static_cast<char>(bytes[sizeof(u16) + i]);
        // A name in the file system ends at its NUL; an abstract one is all of it.
        if (path_length > 0 && address.path[0] != '\0')
            path_length = std::string_view(address.path.data(), path_length)
                              .substr(0, std::string_view(address.path.data(), path_length).find('\0'))
                              .size();
        address.path_length = static_cast<u8>(path_length);
        return {};
    }
    default:
        address.endpoint = { IpAddress::v4(0), 0, 0 };
        return {};
    }
}

usize encode_socket_address(const SocketAddress& address, std::span<u8, 128> room)
{
    std::span<u8> bytes = room;
    std::ranges::fill(bytes, u8 { 0 });
    auto family = std::bit_cast<std::array<u8, 2>>(address.family);
    std::ranges::copy(family, bytes.begin());
    switch (address.family) {
    case abi::k_af_inet:
        *header_at<Be16>(bytes, 2) = address.endpoint.port;
        *header_at<Be32>(bytes, 4) = address.endpoint.address.as_v4();
        return sizeof(abi::SockaddrIn);
    case abi::k_af_inet6:
        *header_at<Be16>(bytes, 2) = address.endpoint.port;
        *header_at<WireAddress>(bytes, 8) = address.endpoint.address.to_wire();
        *header_at<std::array<u8, 4>>(bytes, 24) = std::bit_cast<std::array<u8, 4>>(address.endpoint.interface);
        return sizeof(abi::SockaddrIn6);
    case abi::k_af_unix: {
        for (usize i = 0; i < address.path_length; ++i)
            bytes[sizeof(u16) + i] = static_cast<u8>(address.path[i]);
        bool terminated = address.path_length > 0 && address.path[0] != '\0';
        return sizeof(u16) + address.path_length + (terminated ? 1 : 0);
    }
    case abi::k_af_netlink:
        return 12;
    default:
        return sizeof(u16);
    }
}

Result<> write_socket_address(const SocketAddress& address, UserPointer<u8> pointer, UserPointer<u32> length)
{
    std::array<u8, 128> bytes;
    usize used = encode_socket_address(address, bytes);
    u32 room = TRY(length.read());
    if (static_cast<i32>(room) < 0)
        return Errno::EINVAL;
    usize copied = std::min<usize>(room, used);
    TRY(UserBytes(pointer, copied).copy_from_kernel(std::span(bytes).first(copied)));
    return length.write(static_cast<u32>(used));
}

} // namespace eremite
