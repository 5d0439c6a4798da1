// An in-memory wire in virtual time, and what may happen to frames on their way (delay, loss, duplication, reordering,
// a pcap file), seeded so that a run can be repeated.
#pragma once

#include "net/socket.h"
#include "net/support/wire_device.h"

#include <map>

namespace eremite::net::test {

/// What happens to frames on the way, in both directions alike.
struct Faults {
    double loss { 0 };
    double duplication { 0 };
    double reordering { 0 };
    double corruption { 0 };
    Nanoseconds delay { Nanoseconds::from_microseconds(100) };
    Nanoseconds reorder_delay { Nanoseconds::from_milliseconds(3) };
    /// Bytes per second; 0: infinite.
    u64 rate { 0 };
    u64 seed { 1 };
};

/// Two stacks, 10.0.0.1 and 10.0.0.2 (fd00::1 and fd00::2), and the wire between them.
class TwoStacks {
public:
    explicit TwoStacks(Faults faults = {}, NetDevice::Features features = {}, u32 mtu = 1500)
        : faults(faults)
        , m_random(faults.seed)
        , m_environment(faults.seed)
    {
        for (usize i = 0; i < 2; ++i) {
            devices[i]
                = std::make_unique<WireDevice>(MacBytes { 2, 0, 0, 0, 0, static_cast<u8>(i + 1) }, features, mtu);
            devices[i]->on_transmit = [this, i](Packet packet) { carry(i, std::move(packet)); };
            m_stacks[i] = Stack::create(m_environment).release_value();
            auto* interface = m_stacks[i]->add_device(*devices[i]).release_value();
            u8 host = static_cast<u8>(i + 1);
            EXPECT_TRUE(interface->add_address({ .address = IpAddress::v4(10, 0, 0, host), .prefix = 24 }));
            EXPECT_TRUE(
                interface->add_address({ .address = IpAddress::v6(0xfd00'0000'0000'0000, host), .prefix = 64 }));
        }
        m_environment.on_wait = [this] { return step(); };
    }

    ~TwoStacks()
    {
        for (auto& device : devices)
            device->on_transmit = nullptr; // what dying stacks say nobody hears
    }

    Stack& stack(usize i) { return *m_stacks[i]; }
    Nanoseconds now() const { return m_environment.time; }

    /// Runs until nothing is to be done at this instant, then jumps to the next event. False if there is none.
    bool step()
    {
        bool busy = true;
        while (busy) {
            busy = false;
            for (auto& stack : m_stacks) {
                while (stack->poll())
                    busy = true;
                stack->finish();
            }
            while (!m_flying.empty() && m_flying.begin()->first <= now()) {
                auto [to, packet] = std::move(m_flying.begin()->second);
                m_flying.erase(m_flying.begin());
                devices[to]->deliver(std::move(packet));
                busy = true;
            }
        }
        Nanoseconds next = std::min(m_stacks[0]->next_deadline(), m_stacks[1]->next_deadline());
        if (!m_flying.empty())
            next = std::min(next, m_flying.begin()->first);
        if (next == Nanoseconds::max())
            return false;
        m_environment.time = std::max(next, now());
        return true;
    }
    void run_for(Nanoseconds duration)
    {
        Nanoseconds end = now() + duration;
        while (now() < end && step()) { }
        m_environment.time = std::max(m_environment.time, end);
        for (auto& stack : m_stacks) {
            while (stack->poll()) { }
        }
    }

    Faults faults;
    std::array<std::unique_ptr<WireDevice>, 2> devices;
    std::function<bool(usize from, Frame&)> filter; // false: dropped
    std::unique_ptr<PcapWriter> pcap;
    u64 frames { 0 };

private:
    void carry(usize from, Packet packet)
    {
        ++frames;
        Frame frame = bytes_of_packet(packet);
        PacketOffload offload = packet.offload();
        packet = {};
        if (pcap)
            pcap->write(now(), frame);
        if (filter && !filter(from, frame))
            return;
        std::uniform_real_distribution<double> chance(0, 1);
        if (chance(m_random) < faults.loss)
            return;
        if (chance(m_random) < faults.corruption)
            frame[m_random() % frame.size()] ^= static_cast<u8>(1u << (m_random() % 8));
        int copies = chance(m_random) < faults.duplication ? 2 : 1;
        for (int copy = 0; copy < copies; ++copy) {
            Nanoseconds arrival = now() + faults.delay;
            if (faults.rate != 0) {
                m_line_free[from] = std::max(m_line_free[from], now())
                    + Nanoseconds(static_cast<i64>(frame.size() * 1'000'000'000 / faults.rate));
                arrival = m_line_free[from] + faults.delay;
            }
            if (chance(m_random) < faults.reordering)
                arrival = arrival
                    + Nanoseconds(static_cast<i64>(m_random() % static_cast<u64>(faults.reorder_delay.value())));
            Packet delivered = packet_of(frame, m_random() % 8 == 0 && frame.size() < 1500 ? 200 : 0);
            delivered.offload().checksum_verified = offload.needs_checksum;
            m_flying.emplace(arrival, std::pair(1 - from, std::move(delivered)));
        }
    }

    std::mt19937_64 m_random;
    TestEnvironment m_environment;
    std::array<OwnPtr<Stack>, 2> m_stacks;
    std::multimap<Nanoseconds, std::pair<usize, Packet>> m_flying;
    std::array<Nanoseconds, 2> m_line_free {};
};

inline SocketAddress address_of(const char* text, u16 port)
{
    IpAddress address = *IpAddress::parse(text);
    return SocketAddress::of({ address, port, 0 }, address.is_v4() ? abi::k_af_inet : abi::k_af_inet6);
}

inline SocketRef make_socket(Stack& stack, int type, int domain = abi::k_af_inet, int protocol = 0)
{
    return create_internet_socket(stack, domain, type, protocol).release_value();
}

inline Result<usize> send(Socket& socket, std::span<const u8> bytes, u32 flags = 0, const SocketAddress* to = nullptr)
{
    std::vector<u8> copy(bytes.begin(), bytes.end());
    IoBuffer buffer { std::span<u8>(copy) };
    SendRequest request { .data = IoCursor({ &buffer, 1 }),
        .flags = flags,
        .nonblocking = (flags & abi::k_msg_dontwait) != 0,
        .destination = to };
    return socket.send(request);
}

inline Result<usize> send(Socket& socket, std::string_view text, u32 flags = 0, const SocketAddress* to = nullptr)
{
    return send(socket, std::span(reinterpret_cast<const u8*>(text.data()), text.size()), flags, to);
}

inline Result<usize> receive(Socket& socket, std::span<u8> bytes, u32 flags = 0, SocketAddress* from = nullptr)
{
    IoBuffer buffer { bytes };
    ReceiveRequest request { .data = IoCursor({ &buffer, 1 }),
        .flags = flags,
        .nonblocking = (flags & abi::k_msg_dontwait) != 0,
        .source = from };
    return socket.receive(request);
}

inline std::string receive_text(Socket& socket, usize limit = 65536, u32 flags = abi::k_msg_dontwait)
{
    std::string text(limit, '\0');
    auto got = receive(socket, { reinterpret_cast<u8*>(text.data()), text.size() }, flags);
    text.resize(got.has_value() ? got.release_value() : 0);
    return text;
}

inline void set_option(Socket& socket, int level, int name, int value)
{
    EXPECT_TRUE(socket.set_option(level, name, net::bytes_of(value))) << level << "/" << name;
}

} // namespace eremite::net::test
