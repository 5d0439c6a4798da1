#include "c_api/eremite_net.h"

#include <netinet/in.h>

#include "net/socket.h"
#include "net/support/wire_device.h"

#include <cstring>
#include <deque>

using namespace eremite;
using namespace eremite::net;
using namespace eremite::net::test;

struct en_stack {
    en_stack(MacBytes mac, u32 mtu, u64 seed)
        : environment(seed)
        , device(mac, {}, mtu)
    {
    }
    ~en_stack()
    {
        sockets.clear();
        device.on_transmit = nullptr;
    }
    void settle()
    {
        while (stack->poll()) { }
        stack->finish();
    }

    TestEnvironment environment;
    WireDevice device;
    OwnPtr<Stack> stack;
    Interface* interface { nullptr };
    std::vector<SocketRef> sockets;
    std::deque<Frame> out;
};

namespace {

template<typename T> int number_of(const Result<T>& result)
{
    return result.has_value() ? 0 : -static_cast<int>(result.error());
}

int negative(Errno error)
{
    return -static_cast<int>(error);
}

Result<SocketAddress> address_of(const sockaddr* address, socklen_t length)
{
    if (address && address->sa_family == AF_INET && length >= sizeof(sockaddr_in)) {
        sockaddr_in v4;
        std::memcpy(&v4, address, sizeof(v4));
        return SocketAddress::of({ IpAddress::v4(ntohl(v4.sin_addr.s_addr)), ntohs(v4.sin_port), 0 }, AF_INET);
    }
    if (address && address->sa_family == AF_INET6 && length >= sizeof(sockaddr_in6)) {
        sockaddr_in6 v6;
        std::memcpy(&v6, address, sizeof(v6));
        WireAddress bytes;
        std::memcpy(&bytes, &v6.sin6_addr, sizeof(bytes));
        return SocketAddress::of({ IpAddress::from_wire(bytes), ntohs(v6.sin6_port), v6.sin6_scope_id }, AF_INET6);
    }
    return Errno::EINVAL;
}

void store_address(const SocketAddress& address, sockaddr_storage& storage)
{
    std::memset(&storage, 0, sizeof(storage));
    const auto& endpoint = address.endpoint;
    if (address.family == AF_INET) {
        sockaddr_in v4 {};
        v4.sin_family = AF_INET;
        v4.sin_port = htons(endpoint.port);
        v4.sin_addr.s_addr = htonl(endpoint.address.as_v4());
        std::memcpy(&storage, &v4, sizeof(v4));
    } else {
        sockaddr_in6 v6 {};
        v6.sin6_family = AF_INET6;
        v6.sin6_port = htons(endpoint.port);
        const WireAddress bytes = endpoint.address.to_wire();
        std::memcpy(&v6.sin6_addr, &bytes, sizeof(bytes));
        v6.sin6_scope_id = endpoint.interface;
        std::memcpy(&storage, &v6, sizeof(v6));
    }
}

/// Runs `operation` on the socket, and what follows from it.
template<typename Operation>
auto with(en_stack* stack, int number, Operation operation) -> decltype(operation(std::declval<Socket&>()))
{
    if (number < 0 || static_cast<size_t>(number) >= stack->sockets.size()
        || !stack->sockets[static_cast<size_t>(number)])
        return negative(Errno::EBADF);
    stack->settle();
    SocketRef socket = stack->sockets[static_cast<size_t>(number)];
    auto result = operation(*socket);
    stack->settle();
    return result;
}

int enter(en_stack* stack, SocketRef socket)
{
    for (size_t i = 0; i < stack->sockets.size(); ++i) {
        if (!stack->sockets[i]) {
            stack->sockets[i] = std::move(socket);
            return static_cast<int>(i);
        }
    }
    stack->sockets.push_back(std::move(socket));
    return static_cast<int>(stack->sockets.size() - 1);
}

} // namespace

extern "C" {

en_stack* en_create(const uint8_t mac[6], uint32_t mtu, uint64_t seed)
{
    MacBytes address;
    std::copy(mac, mac + 6, address.begin());
    auto made = std::make_unique<en_stack>(address, mtu, seed);
    auto stack = Stack::create(made->environment);
    if (stack.is_error())
        return nullptr;
    made->stack = stack.release_value();
    auto interface = made->stack->add_device(made->device);
    if (interface.is_error())
        return nullptr;
    made->interface = interface.release_value();
    made->device.on_transmit = [self = made.get()](Packet packet) { self->out.push_back(bytes_of_packet(packet)); };
    made->settle();
    return made.release();
}

void en_destroy(en_stack* stack)
{
    delete stack;
}

int en_add_address(en_stack* stack, const char* address, unsigned prefix)
{
    auto parsed = IpAddress::parse(address);
    if (!parsed || prefix > (parsed->is_v4() ? 32u : 128u))
        return negative(Errno::EINVAL);
    return number_of(stack->interface->add_address({ .address = *parsed, .prefix = static_cast<u8>(prefix) }));
}

int en_add_gateway(en_stack* stack, const char* address)
{
    auto parsed = IpAddress::parse(address);
    return parsed ? number_of(stack->interface->add_gateway(*parsed)) : negative(Errno::EINVAL);
}

int en_open(en_stack* stack, int domain, int type, int protocol)
{
    auto socket = create_internet_socket(*stack->stack, domain, type, protocol);
    return socket.has_value() ? enter(stack, socket.release_value()) : negative(socket.error());
}

int en_bind(en_stack* stack, int socket, const sockaddr* address, socklen_t length)
{
    auto parsed = address_of(address, length);
    if (parsed.is_error())
        return negative(parsed.error());
    return with(stack, socket, [&](Socket& s) { return number_of(s.bind(parsed.value())); });
}

int en_listen(en_stack* stack, int socket, int backlog)
{
    return with(stack, socket, [&](Socket& s) { return number_of(s.listen(backlog)); });
}

int en_connect(en_stack* stack, int socket, const sockaddr* address, socklen_t length)
{
    auto parsed = address_of(address, length);
    if (parsed.is_error())
        return negative(parsed.error());
    return with(stack, socket, [&](Socket& s) { return number_of(s.connect(parsed.value(), true)); });
}

int en_accept(en_stack* stack, int socket, sockaddr_storage* peer)
{
    SocketAddress address;
    return with(stack, socket, [&](Socket& s) {
        auto accepted = s.accept(true, &address);
        if (accepted.is_error())
            return negative(accepted.error());
        if (peer)
            store_address(address, *peer);
        return enter(stack, accepted.release_value());
    });
}

ssize_t en_read(en_stack* stack, int socket, void* buffer, size_t size)
{
    return with(stack, socket, [&](Socket& s) -> ssize_t {
        IoBuffer part { std::span(static_cast<u8*>(buffer), size) };
        ReceiveRequest request { .data = IoCursor({ &part, 1 }), .nonblocking = true };
        auto result = s.receive(request);
        return result.has_value() ? static_cast<ssize_t>(result.release_value()) : negative(result.error());
    });
}

ssize_t en_write(en_stack* stack, int socket, const void* data, size_t size)
{
    return with(stack, socket, [&](Socket& s) -> ssize_t {
        auto* bytes = static_cast<const u8*>(data);
        std::vector<u8> copy(bytes, bytes + size);
        IoBuffer part { std::span<u8>(copy) };
        SendRequest request { .data = IoCursor({ &part, 1 }), .nonblocking = true };
        auto result = s.send(request);
        return result.has_value() ? static_cast<ssize_t>(result.release_value()) : negative(result.error());
    });
}

int en_shutdown(en_stack* stack, int socket, int how)
{
    return with(stack, socket, [&](Socket& s) { return number_of(s.shutdown(how)); });
}

int en_close(en_stack* stack, int socket)
{
    int result = with(stack, socket, [&](Socket& s) {
        s.close();
        return 0;
    });
    if (result == 0)
        stack->sockets[static_cast<size_t>(socket)] = {};
    return result;
}

int en_setsockopt(en_stack* stack, int socket, int level, int name, const void* value, socklen_t length)
{
    return with(stack, socket, [&](Socket& s) {
        return number_of(s.set_option(level, name, std::span(static_cast<const u8*>(value), length)));
    });
}

int en_getsockopt(en_stack* stack, int socket, int level, int name, void* value, socklen_t* length)
{
    return with(stack, socket, [&](Socket& s) {
        auto got = s.get_option(level, name, std::span(static_cast<u8*>(value), *length));
        if (got.is_error())
            return negative(got.error());
        *length = static_cast<socklen_t>(got.release_value());
        return 0;
    });
}

int en_poll(en_stack* stack, pollfd* entries, size_t count)
{
    int ready = 0;
    for (size_t i = 0; i < count; ++i) {
        pollfd& entry = entries[i];
        const int events = with(stack, entry.fd, [](Socket& s) { return static_cast<int>(s.readiness()); });
        entry.revents
            = events < 0 ? short { POLLNVAL } : static_cast<short>(events & (entry.events | POLLERR | POLLHUP));
        ready += entry.revents != 0 ? 1 : 0;
    }
    return ready;
}

int en_packet_in(en_stack* stack, const void* frame, size_t size)
{
    if (size > 65550)
        return negative(Errno::EMSGSIZE);
    stack->device.deliver(packet_of(std::span(static_cast<const u8*>(frame), size)));
    stack->settle();
    return 0;
}

ssize_t en_packet_out(en_stack* stack, void* buffer, size_t size)
{
    stack->settle();
    if (stack->out.empty())
        return 0;
    const Frame& frame = stack->out.front();
    if (frame.size() > size)
        return negative(Errno::EMSGSIZE);
    std::memcpy(buffer, frame.data(), frame.size());
    const auto length = static_cast<ssize_t>(frame.size());
    stack->out.pop_front();
    return length;
}

void en_advance(en_stack* stack, uint64_t nanoseconds)
{
    auto& time = stack->environment.time;
    const Nanoseconds end = time + Nanoseconds(static_cast<i64>(nanoseconds));
    stack->settle();
    while (stack->stack->next_deadline() <= end) {
        time = std::max(time, stack->stack->next_deadline());
        stack->settle();
    }
    time = end;
    stack->settle();
}

uint64_t en_until_next(en_stack* stack)
{
    const Nanoseconds next = stack->stack->next_deadline();
    if (next == Nanoseconds::max())
        return UINT64_MAX;
    return next <= stack->environment.time ? 0 : static_cast<u64>((next - stack->environment.time).value());
}
}
