#include "syscall/socket_ioctl.h"

#include "net/stack.h"
#include "syscall/network.h"

#include <algorithm>

namespace eremite {

namespace {

using namespace net;

constexpr u32 k_tiocoutq = 0x5411;
constexpr u32 k_fionread = 0x541b;
constexpr u32 k_siocgifname = 0x8910;
constexpr u32 k_siocgifconf = 0x8912;
constexpr u32 k_siocgifflags = 0x8913;
constexpr u32 k_siocsifflags = 0x8914;
constexpr u32 k_siocgifaddr = 0x8915;
constexpr u32 k_siocsifaddr = 0x8916;
constexpr u32 k_siocgifbrdaddr = 0x8919;
constexpr u32 k_siocgifnetmask = 0x891b;
constexpr u32 k_siocgifmetric = 0x891d;
constexpr u32 k_siocgifmtu = 0x8921;
constexpr u32 k_siocgifhwaddr = 0x8927;
constexpr u32 k_siocgifindex = 0x8933;
constexpr u32 k_siocgiftxqlen = 0x8942;

constexpr u16 k_arphrd_ether = 1;
constexpr u16 k_arphrd_loopback = 772;

/// struct ifreq.
struct InterfaceRequest {
    std::array<char, 16> name;
    std::array<u8, 24> value;

    std::string_view name_view() const
    {
        std::string_view all(name.data(), name.size());
        return all.substr(0, all.find('\0'));
    }
    template<typename T> void set(const T& what)
    {
        static_assert(sizeof(T) <= sizeof(value));
        value = {};
        std::ranges::copy(bytes_of(what), value.begin());
    }
    void set_address(u32 v4)
    {
        abi::SockaddrIn address {};
        address.family = abi::k_af_inet;
        address.address = std::bit_cast<std::array<u8, 4>>(Be32(v4));
        set(address);
    }
};
static_assert(sizeof(InterfaceRequest) == 40);

struct InterfaceList {
    i32 length;
    u32 padding;
    u64 buffer;
};

std::optional<InterfaceAddress> first_v4(Interface& interface)
{
    std::array<InterfaceAddress, Interface::k_max_addresses> addresses;
    for (auto& address : std::span(addresses).first(interface.addresses(addresses))) {
        if (address.address.is_v4())
            return address;
    }
    return {};
}

void set_name(InterfaceRequest& request, Interface& interface)
{
    request.name = {};
    auto name = interface.device().name();
    std::ranges::copy(name.substr(0, 15), request.name.begin());
}

Result<long> list_interfaces(Stack& stack, UserPointer<InterfaceList> argument)
{
    InterfaceList list = TRY(argument.read());
    i32 used = 0;
    for (Interface* interface : stack.interfaces()) {
        auto address = first_v4(*interface);
        if (!address)
            continue;
        if (list.buffer != 0) {
            if (list.length - used < static_cast<i32>(sizeof(InterfaceRequest)))
                break;
            InterfaceRequest request {};
            set_name(request, *interface);
            request.set_address(address->address.as_v4());
            TRY(UserPointer<InterfaceRequest>(list.buffer + static_cast<u64>(used)).write(request));
        }
        used += static_cast<i32>(sizeof(InterfaceRequest));
    }
    list.length = used;
    TRY(argument.write(list));
    return 0;
}

} // namespace

u32 interface_flags(Interface& interface)
{
    constexpr u32 up = 1;
    constexpr u32 broadcast = 2;
    constexpr u32 loopback = 8;
    constexpr u32 running = 0x40;
    constexpr u32 multicast = 0x1000;
    u32 flags = up | (interface.is_loopback() ? loopback : broadcast | multicast);
    return interface.device().is_link_up() ? flags | running : flags;
}

Result<long> socket_ioctl(Socket& socket, u32 request, u64 argument)
{
    if (request == k_fionread || request == k_tiocoutq) {
        usize count = request == k_fionread ? TRY(socket.bytes_to_read()) : TRY(socket.bytes_to_send());
        TRY(UserPointer<i32>(argument).write(static_cast<i32>(std::min<usize>(count, INT32_MAX))));
        return 0;
    }
    if ((request >> 8) != 0x89)
        return Errno::ENOTTY;
    // musl asks an AF_UNIX socket for the interfaces.
    Stack* stack = socket.stack() ? socket.stack() : &kernel_stack();
    if (request == k_siocgifconf)
        return list_interfaces(*stack, UserPointer<InterfaceList>(argument));
    UserPointer<InterfaceRequest> pointer(argument);
    InterfaceRequest what = TRY(pointer.read());
    if (request == k_siocgifname) {
        Interface* interface = stack->interface(*header_at<u8>(std::span<const u8>(what.value)));
        if (!interface)
            return Errno::ENODEV;
        set_name(what, *interface);
        TRY(pointer.write(what));
        return 0;
    }
    Interface* interface = stack->interface(what.name_view());
    if (!interface)
        return Errno::ENODEV;
    switch (request) {
    case k_siocgifflags:
        what.set(static_cast<u16>(interface_flags(*interface)));
        break;
    case k_siocgifaddr:
    case k_siocgifnetmask:
    case k_siocgifbrdaddr: {
        auto address = first_v4(*interface);
        if (!address)
            return Errno::EADDRNOTAVAIL;
        u32 mask = address->prefix == 0 ? 0 : UINT32_MAX << (32 - address->prefix);
        what.set_address(request == k_siocgifaddr ? address->address.as_v4()
                : request == k_siocgifnetmask     ? mask
                                                  : address->address.as_v4() | ~mask);
        break;
    }
    case k_siocgifmetric:
        what.set(i32 { 0 });
        break;
    case k_siocgifmtu:
        what.set(static_cast<i32>(interface->mtu()));
        break;
    case k_siocgiftxqlen:
        what.set(i32 { 1000 });
        break;
    case k_siocgifindex:
        what.set(static_cast<i32>(interface->index()));
        break;
    case k_siocgifhwaddr: {
        struct HardwareAddress {
            u16 family;
            MacBytes mac;
        } address { interface->is_loopback() ? k_arphrd_loopback : k_arphrd_ether, interface->device().mac() };
        what.set(address);
        break;
    }
    case k_siocsifflags:
        return 0;
    case k_siocsifaddr: {
        auto* address = header_at<std::array<u8, 8>>(std::span<const u8>(what.value));
        auto bytes = *address;
        interface->remove_v4_addresses();
        TRY(interface->add_address({ .address = IpAddress::v4(bytes[4], bytes[5], bytes[6], bytes[7]), .prefix = 24 }));
        return 0;
    }
    default:
        return Errno::ENOTTY;
    }
    TRY(pointer.write(what));
    return 0;
}

} // namespace eremite
