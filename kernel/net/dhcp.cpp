#include "net/dhcp.h"

#include "base/log.h"
#include "net/stack.h"

namespace eremite::net {

namespace {

constexpr u16 k_client_port = 68;
constexpr u16 k_server_port = 67;
constexpr u32 k_cookie = 0x63825363;
constexpr u8 k_discover = 1;
constexpr u8 k_offer = 2;
constexpr u8 k_request = 3;
constexpr u8 k_ack = 5;
constexpr u8 k_nak = 6;

constexpr u8 k_option_mask = 1;
constexpr u8 k_option_router = 3;
constexpr u8 k_option_nameserver = 6;
constexpr u8 k_option_domain = 15;
constexpr u8 k_option_mtu = 26;
constexpr u8 k_option_requested = 50;
constexpr u8 k_option_lease = 51;
constexpr u8 k_option_type = 53;
constexpr u8 k_option_server = 54;
constexpr u8 k_option_parameters = 55;
constexpr u8 k_option_renewal = 58;
constexpr u8 k_option_rebinding = 59;
constexpr u8 k_option_client = 61;
constexpr u8 k_option_end = 255;

struct Message {
    u8 operation;
    u8 hardware_type;
    u8 hardware_length;
    u8 hops;
    Be32 transaction;
    Be16 seconds;
    Be16 flags;
    Be32 client;
    Be32 yours;
    Be32 server;
    Be32 relay;
    std::array<u8, 16> hardware;
    std::array<u8, 64> server_name;
    std::array<u8, 128> file;
    Be32 cookie;
};
static_assert(sizeof(Message) == 240);

} // namespace

Result<OwnPtr<DhcpClient>> DhcpClient::create(Stack& stack, Interface& interface)
{
    auto socket = TRY(make_ref<UdpSocket>(stack, abi::k_af_inet));
    int on = 1;
    TRY(socket->set_option(abi::k_sol_socket, abi::k_so_broadcast, bytes_of(on)));
    TRY(socket->set_option(abi::k_sol_socket, abi::k_so_reuseaddr, bytes_of(on)));
    auto device = interface.device().name();
    TRY(socket->set_option(
        abi::k_sol_socket, abi::k_so_bindtodevice, { reinterpret_cast<const u8*>(device.data()), device.size() }));
    TRY(socket->bind(SocketAddress::of({ IpAddress::v4(0), k_client_port, 0 }, abi::k_af_inet)));
    return TRY(make<DhcpClient>(stack, interface, std::move(socket)));
}

DhcpClient::DhcpClient(Stack& stack, Interface& interface, RefPtr<UdpSocket> socket)
    : m_stack(stack)
    , m_interface(interface)
    , m_socket(std::move(socket))
    , m_waiter(socket_ready, this)
{
}

DhcpClient::~DhcpClient()
{
    m_socket->wait_queue().remove(m_waiter);
    m_stack.timers().cancel(*this);
    m_interface.set_unconfigured(false);
}

void DhcpClient::socket_ready(Waiter& waiter, u32)
{
    // Called under locks: only have the timer fire at once.
    auto& self = *static_cast<DhcpClient*>(waiter.context());
    self.m_stack.arm(self, self.m_stack.now());
}

void DhcpClient::start()
{
    m_stack.arm(*this, m_stack.now());
}

void DhcpClient::begin(Nanoseconds now)
{
    m_state = State::Selecting;
    m_transaction = static_cast<u32>(m_stack.environment().random64());
    m_attempts = 0;
    m_started = now;
    m_interface.set_unconfigured(true);
    transmit(k_discover, now);
}

void DhcpClient::transmit(u8 type, Nanoseconds now)
{
    std::array<u8, sizeof(Message) + 64> storage {};
    auto* message = header_at<Message>(std::span<u8>(storage));
    MacBytes mac = m_interface.device().mac();
    message->operation = 1;
    message->hardware_type = 1;
    message->hardware_length = 6;
    message->transaction = m_transaction;
    message->seconds = static_cast<u16>(std::min<i64>((now - m_started).seconds(), 65535));
    bool has_address = m_state == State::Renewing || m_state == State::Rebinding;
    // Without an address we could take a unicast answer, but not every server knows to send one.
    message->flags = has_address ? u16 { 0 } : u16 { 0x8000 };
    message->client = has_address ? m_lease.address.as_v4() : 0;
    std::ranges::copy(mac, message->hardware.begin());
    message->cookie = k_cookie;
    usize length = sizeof(Message);
    auto put = [&](std::initializer_list<u8> values) {
        for (u8 value : values)
            storage[length++] = value;
    };
    auto put_address = [&](u8 option, IpAddress address) {
        u32 v4 = address.as_v4();
        put({ option, 4, static_cast<u8>(v4 >> 24), static_cast<u8>(v4 >> 16), static_cast<u8>(v4 >> 8),
            static_cast<u8>(v4) });
    };
    put({ k_option_type, 1, type });
    put({ k_option_client, 7, 1, mac[0], mac[1], mac[2], mac[3], mac[4], mac[5] });
    if (m_state == State::Requesting) {
        put_address(k_option_requested, m_lease.address);
        put_address(k_option_server, m_lease.server);
    }
    put({ k_option_parameters, 8, k_option_mask, k_option_router, k_option_nameserver, k_option_domain, k_option_mtu,
        k_option_lease, k_option_renewal, k_option_rebinding });
    put({ k_option_end });

    auto target = m_state == State::Renewing ? m_lease.server : IpAddress::v4(0xffffffff);
    auto destination = SocketAddress::of({ target, k_server_port, 0 }, abi::k_af_inet);
    IoBuffer buffer { std::span<u8>(storage).first(std::max<usize>(length, 300)) };
    SendRequest request {
        .data = IoCursor({ &buffer, 1 }), .flags = abi::k_msg_dontwait, .nonblocking = true, .destination = &destination
    };
    if (auto sent = m_socket->send(request); sent.is_error())
        log_debug("net: DHCP message not sent: {}", sent.error());
    // RFC 2131, 4.1: 4 s, doubled up to 64 s, a second more or less; sooner at first, since a lost packet delays the
    // boot.
    i64 wait = m_attempts == 0 ? 1000 : std::min<i64>(2000 << std::min(m_attempts, 5u), 64000);
    if (has_address)
        wait = 60'000;
    ++m_attempts;
    wait += static_cast<i64>(m_stack.environment().random64() % 1000) - 500;
    m_next_send = now + Nanoseconds::from_milliseconds(wait);
    m_stack.arm(*this, m_next_send);
}

std::optional<DhcpClient::Offer> DhcpClient::parse(std::span<const u8> bytes) const
{
    auto* message = header_at<Message>(bytes);
    if (!message || message->operation != 2 || message->transaction != m_transaction || message->cookie != k_cookie)
        return {};
    MacBytes mac = m_interface.device().mac();
    if (!std::ranges::equal(mac, std::span(message->hardware).first(6)))
        return {};
    Offer offer;
    offer.address = IpAddress::v4(message->yours);
    offer.server = IpAddress::v4(message->server);
    auto options = bytes.subspan(sizeof(Message));
    while (!options.empty() && options[0] != k_option_end) {
        if (options[0] == 0) {
            options = options.subspan(1);
            continue;
        }
        if (options.size() < 2 || options.size() - 2 < options[1])
            return {};
        auto value = options.subspan(2, options[1]);
        auto* number = header_at<Be32>(value);
        switch (options[0]) {
        case k_option_type:
            offer.type = value.empty() ? u8 { 0 } : value[0];
            break;
        case k_option_mask:
            if (number)
                offer.prefix = static_cast<u8>(std::countl_one(static_cast<u32>(*number)));
            break;
        case k_option_router:
            if (number)
                offer.gateway = IpAddress::v4(*number);
            break;
        case k_option_server:
            if (number)
                offer.server = IpAddress::v4(*number);
            break;
        case k_option_nameserver:
            for (usize at = 0; offer.nameserver_count < offer.nameservers.size() && at + 4 <= value.size(); at += 4)
                offer.nameservers[offer.nameserver_count++] = IpAddress::v4(*header_at<Be32>(value, at));
            break;
        case k_option_domain:
            offer.domain_length = std::min(value.size(), offer.domain.size());
            for (usize i = 0; i < offer.domain_length; ++i)
                offer.domain[i] = static_cast<char>(value[i]);
            while (offer.domain_length > 0 && offer.domain[offer.domain_length - 1] == '\0')
                --offer.domain_length;
            break;
        case k_option_mtu:
            if (auto* mtu = header_at<Be16>(value))
                offer.mtu = *mtu;
            break;
        case k_option_lease:
            offer.lease = number ? static_cast<u32>(*number) : 0;
            break;
        case k_option_renewal:
            offer.renewal = number ? static_cast<u32>(*number) : 0;
            break;
        case k_option_rebinding:
            offer.rebinding = number ? static_cast<u32>(*number) : 0;
            break;
        default:
            break;
        }
        options = options.subspan(2u + options[1]);
    }
    return offer;
}

void DhcpClient::receive_all(Nanoseconds now)
{
    std::array<u8, 1024> bytes;
    while (true) {
        IoBuffer buffer { std::span<u8>(bytes) };
        ReceiveRequest request { .data = IoCursor({ &buffer, 1 }), .flags = abi::k_msg_dontwait, .nonblocking = true };
        auto got = m_socket->receive_queued(request);
        if (got.is_error())
            return;
        if (auto offer = parse(std::span<const u8>(bytes).first(got.release_value())))
            handle(*offer, now);
    }
}

void DhcpClient::handle(const Offer& offer, Nanoseconds now)
{
    if (m_state == State::Selecting) {
        if (offer.type != k_offer || offer.address.is_unspecified() || offer.address.is_multicast()
            || offer.server.is_unspecified())
            return;
        m_lease = offer;
        m_state = State::Requesting;
        m_attempts = 0;
        transmit(k_request, now);
        return;
    }
    if (m_state == State::Bound)
        return;
    if (offer.type == k_nak) {
        log_warning("net: the DHCP server refused the address");
        release_address();
        begin(now);
    } else if (offer.type == k_ack && !offer.address.is_unspecified()) {
        bind_to(offer, now);
    }
}

void DhcpClient::bind_to(const Offer& offer, Nanoseconds now)
{
    if (m_interface.owns(offer.address)) {
        m_lease = offer;
    } else {
        release_address();
        m_lease = offer;
        if (auto added = m_interface.add_address({ .address = offer.address, .prefix = offer.prefix });
            added.is_error()) {
            log_error("net: address of the DHCP server: {}", added.error());
            return;
        }
        if (!offer.gateway.is_unspecified() && offer.gateway != IpAddress::v4(0)) {
            if (auto routed = m_interface.add_gateway(offer.gateway); routed.is_error())
                log_error("net: gateway of the DHCP server: {}", routed.error());
        }
        for (auto& server : std::span(offer.nameservers).first(offer.nameserver_count))
            m_stack.learn_nameserver(server);
        if (offer.domain_length > 0)
            m_stack.set_search_domain({ offer.domain.data(), offer.domain_length });
        if (offer.mtu >= 576)
            m_interface.limit_mtu(offer.mtu);
        log_info(
            "net: {} has address {}/{} by DHCP", m_interface.device().name(), AddressText(offer.address), offer.prefix);
    }
    m_interface.set_unconfigured(false);
    m_state = State::Bound;
    u32 lease = offer.lease == 0 ? UINT32_MAX : offer.lease;
    u32 renewal = offer.renewal != 0 && offer.renewal < lease ? offer.renewal : lease / 2;
    u32 rebinding = offer.rebinding > renewal && offer.rebinding < lease ? offer.rebinding
                                                                         : static_cast<u32>(u64 { lease } * 7 / 8);
    bool for_ever = lease == UINT32_MAX;
    m_renew_at = for_ever ? Nanoseconds::max() : now + Nanoseconds::from_seconds(renewal);
    m_rebind_at = for_ever ? Nanoseconds::max() : now + Nanoseconds::from_seconds(rebinding);
    m_lease_ends = for_ever ? Nanoseconds::max() : now + Nanoseconds::from_seconds(lease);
    m_bound.store(true, std::memory_order_release);
    m_wait_queue.wake_all();
    if (!for_ever)
        m_stack.arm(*this, m_renew_at);
}

void DhcpClient::release_address()
{
    if (m_lease.address.is_unspecified() || !m_interface.owns(m_lease.address))
        return;
    m_interface.remove_v4_addresses();
    m_bound.store(false, std::memory_order_release);
}

void DhcpClient::expire(Nanoseconds now)
{
    // Waking took the waiter off its queue. An answer to what is sent below may come before sending returns.
    if (!m_waiter.is_queued())
        m_socket->wait_queue().add(m_waiter);
    receive_all(now);
    switch (m_state) {
    case State::Initial:
        return begin(now);
    case State::Selecting:
    case State::Requesting:
        if (now < m_next_send)
            return m_stack.arm(*this, m_next_send);
        if (m_state == State::Requesting && m_attempts >= 4)
            return begin(now);
        return transmit(m_state == State::Selecting ? k_discover : k_request, now);
    case State::Bound:
        if (now < m_renew_at)
            return m_renew_at == Nanoseconds::max() ? void() : m_stack.arm(*this, m_renew_at);
        m_state = State::Renewing;
        m_started = now;
        m_transaction = static_cast<u32>(m_stack.environment().random64());
        m_attempts = 0;
        return transmit(k_request, now);
    case State::Renewing:
    case State::Rebinding:
        if (now >= m_lease_ends) {
            log_warning("net: the DHCP lease has ended and nobody renewed it");
            release_address();
            return begin(now);
        }
        if (m_state == State::Renewing && now >= m_rebind_at)
            m_state = State::Rebinding;
        else if (now < m_next_send)
            return m_stack.arm(
                *this, std::min({ m_next_send, m_rebind_at > now ? m_rebind_at : m_lease_ends, m_lease_ends }));
        return transmit(k_request, now);
    }
}

} // namespace eremite::net
