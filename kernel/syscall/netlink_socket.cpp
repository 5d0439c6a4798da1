// AF_NETLINK, NETLINK_ROUTE: lists of interfaces and addresses, which is what getifaddrs(3) asks for (rtnetlink(7)).
#include "net/stack.h"
#include "syscall/socket_address.h"

#include <algorithm>

namespace eremite {

u32 interface_flags(net::Interface& interface);

namespace {

using namespace net;

constexpr u16 k_done = 3;
constexpr u16 k_error = 2;
constexpr u16 k_new_link = 16;
constexpr u16 k_get_link = 18;
constexpr u16 k_new_address = 20;
constexpr u16 k_get_address = 22;
constexpr u16 k_flag_multi = 2;
constexpr u16 k_flag_dump = 0x300;

struct MessageHeader {
    u32 length;
    u16 type;
    u16 flags;
    u32 sequence;
    u32 port;
};

struct LinkMessage {
    u8 family;
    u8 padding;
    u16 type;
    i32 index;
    u32 flags;
    u32 change;
};

struct AddressMessage {
    u8 family;
    u8 prefix;
    u8 flags;
    u8 scope;
    u32 index;
};

class NetlinkSocket final : public Socket {
public:
    explicit NetlinkSocket(Stack& stack, int type)
        : Socket(&stack, abi::k_af_netlink, type, 0)
    {
    }
    Result<> bind(const SocketAddress&) override { return {}; }
    Result<> connect(const SocketAddress&, bool) override { return {}; }
    Result<usize> send(SendRequest& request) override;
    Result<usize> receive(ReceiveRequest& request) override;
    Result<> shutdown(int) override { return Errno::EOPNOTSUPP; }
    void close() override { }
    Result<> local_address(SocketAddress& address) override
    {
        address.family = abi::k_af_netlink;
        return {};
    }
    Result<> peer_address(SocketAddress& address) override { return local_address(address); }
    u32 readiness() override
    {
        Locked lock(m_lock);
        return abi::k_pollout | (m_answers.is_empty() ? 0 : abi::k_pollin);
    }

private:
    /// One datagram under construction: messages, each followed by attributes.
    class Writer {
    public:
        template<typename Body> void begin(u16 type, u16 flags, u32 sequence, const Body& body)
        {
            m_start = m_bytes.size();
            put(bytes_of(MessageHeader { 0, type, flags, sequence, 1 }));
            put(bytes_of(body));
        }
        void attribute(u16 type, std::span<const u8> value)
        {
            std::array<u16, 2> head { static_cast<u16>(4 + value.size()), type };
            put(bytes_of(head));
            put(value);
        }
        void end()
        {
            u32 length = static_cast<u32>(m_bytes.size() - m_start);
            auto place = m_bytes.span().subspan(m_start, sizeof(length));
            std::ranges::copy(bytes_of(length), place.begin());
        }
        Vector<u8>& bytes() { return m_bytes; }
        bool failed() const { return m_failed; }

    private:
        void put(std::span<const u8> value)
        {
            m_failed = m_failed || m_bytes.try_append(value).is_error();
            while (m_bytes.size() % 4 != 0 && !m_failed)
                m_failed = m_bytes.try_append(u8 { 0 }).is_error();
        }
        Vector<u8> m_bytes;
        usize m_start { 0 };
        bool m_failed { false };
    };

    void list_links(Writer& writer, u32 sequence);
    void list_addresses(Writer& writer, u32 sequence, u8 family);

    SpinLock m_lock;
    Vector<Vector<u8>> m_answers GUARDED_BY(m_lock);
};

std::span<const u8> text_bytes(std::span<const char> text)
{
    return { reinterpret_cast<const u8*>(text.data()), text.size() };
}

void NetlinkSocket::list_links(Writer& writer, u32 sequence)
{
    for (Interface* interface : m_stack->interfaces()) {
        std::array<char, 16> name {};
        auto device_name = interface->device().name();
        std::ranges::copy(device_name.substr(0, 15), name.begin());
        u16 type = interface->is_loopback() ? 772 : 1;
        writer.begin(k_new_link, k_flag_multi, sequence,
            LinkMessage { 0, 0, type, static_cast<i32>(interface->index()), interface_flags(*interface), UINT32_MAX });
        writer.attribute(3, text_bytes(std::span(name).first(device_name.size() + 1)));
        writer.attribute(1, bytes_of(interface->device().mac()));
        writer.attribute(4, bytes_of(interface->mtu()));
        writer.end();
    }
}

void NetlinkSocket::list_addresses(Writer& writer, u32 sequence, u8 family)
{
    for (Interface* interface : m_stack->interfaces()) {
        std::array<InterfaceAddress, Interface::k_max_addresses> addresses;
        for (auto& address : std::span(addresses).first(interface->addresses(addresses))) {
            bool v4 = address.address.is_v4();
            u8 own = static_cast<u8>(v4 ? abi::k_af_inet : abi::k_af_inet6);
            if (family != 0 && family != own)
                continue;
            u8 scope = address.address.is_loopback() ? 254 : address.address.is_link_local() ? 253 : 0;
            writer.begin(k_new_address, k_flag_multi, sequence,
                AddressMessage { own, address.prefix, 0x80, scope, interface->index() });
            if (v4) {
                Be32 wire = address.address.as_v4();
                writer.attribute(1, bytes_of(wire));
                writer.attribute(2, bytes_of(wire));
                std::array<char, 16> name {};
                auto device_name = interface->device().name();
                std::ranges::copy(device_name.substr(0, 15), name.begin());
                writer.attribute(3, text_bytes(std::span(name).first(device_name.size() + 1)));
                if (!interface->is_loopback() && address.prefix < 31) {
                    Be32 broadcast = address.address.as_v4() | UINT32_MAX >> address.prefix;
                    writer.attribute(4, bytes_of(broadcast));
                }
            } else {
                writer.attribute(1, bytes_of(address.address.to_wire()));
            }
            writer.end();
        }
    }
}

Result<usize> NetlinkSocket::send(SendRequest& request)
{
    usize total = request.data.remaining();
    std::array<u8, 256> bytes {};
    if (total < sizeof(MessageHeader) || total > bytes.size())
        return Errno::EINVAL;
    TRY(request.data.get(std::span(bytes).first(total)));
    auto header
        = std::bit_cast<MessageHeader>(*header_at<std::array<u8, sizeof(MessageHeader)>>(std::span<const u8>(bytes)));
    u8 family = bytes[sizeof(MessageHeader)];
    Writer answer;
    bool dump = (header.flags & k_flag_dump) == k_flag_dump;
    Vector<Vector<u8>> datagrams;
    if (header.type == k_get_link && dump)
        list_links(answer, header.sequence);
    else if (header.type == k_get_address && dump)
        list_addresses(answer, header.sequence, family);
    if ((header.type == k_get_link || header.type == k_get_address) && dump) {
        answer.begin(k_done, k_flag_multi, header.sequence, u32 { 0 });
        answer.end();
    } else {
        struct Refusal {
            i32 error;
            MessageHeader request;
        };
        answer.begin(k_error, 0, header.sequence, Refusal { -static_cast<i32>(Errno::EOPNOTSUPP), header });
        answer.end();
    }
    if (answer.failed())
        return Errno::ENOBUFS;
    Locked lock(m_lock);
    TRY(m_answers.try_append(std::move(answer.bytes())));
    return total;
}

Result<usize> NetlinkSocket::receive(ReceiveRequest& request)
{
    Vector<u8> first;
    bool peek = (request.flags & abi::k_msg_peek) != 0;
    {
        Locked lock(m_lock);
        if (m_answers.is_empty())
            return Errno::EAGAIN;
        if (peek) {
            TRY(first.try_append(m_answers[0].span()));
        } else {
            first = std::move(m_answers[0]);
            for (usize i = 1; i < m_answers.size(); ++i)
                m_answers[i - 1] = std::move(m_answers[i]);
            m_answers.remove_last();
        }
    }
    if (request.source)
        request.source->family = abi::k_af_netlink;
    usize length = std::min(first.size(), request.data.remaining());
    TRY(request.data.put(std::as_const(first).span().first(length)));
    if (length < first.size())
        request.result_flags |= abi::k_msg_trunc;
    return (request.flags & abi::k_msg_trunc) != 0 ? first.size() : length;
}

} // namespace

Result<SocketRef> create_netlink_socket(Stack& stack, int type, int protocol)
{
    if (type != abi::k_sock_raw && type != abi::k_sock_dgram)
        return Errno::ESOCKTNOSUPPORT;
    if (protocol != 0)
        return Errno::EPROTONOSUPPORT;
    return SocketRef(TRY(make_ref<NetlinkSocket>(stack, type)));
}

} // namespace eremite
