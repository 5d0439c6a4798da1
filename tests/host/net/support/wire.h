// An in-memory wire in virtual time: devices on it, and what may happen to frames on their way (delay, loss,
// duplication, reordering, a pcap file), seeded so that a run can be repeated.
#pragma once

#include "device/net_device.h"
#include "net/socket.h"
#include "net/stack.h"

#include <cstdio>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <vector>

namespace eremite::net::test {

using Frame = std::vector<u8>;

inline Frame bytes_of_packet(Packet& packet)
{
    Frame frame(packet.length());
    packet.copy_out(0, frame);
    return frame;
}

/// A packet with the frame's bytes; spread over `piece`-sized fragments if that isn't 0.
inline Packet packet_of(std::span<const u8> frame, usize piece = 0)
{
    Packet packet = Packet::create().release_value();
    usize step = piece == 0 ? 4000 : piece;
    for (usize at = 0; at < frame.size(); at += step) {
        usize length = std::min(step, frame.size() - at);
        auto buffer = Buffer::create(Buffer::Size::Page).release_value();
        std::ranges::copy(frame.subspan(at, length), buffer->bytes().begin());
        if (!packet.append(buffer, 0, static_cast<u32>(length)))
            break;
    }
    return packet;
}

/// A device whose frames go to, and come from, whoever holds it.
class WireDevice final : public NetDevice {
public:
    explicit WireDevice(MacBytes mac, Features features = {}, u32 mtu = 1500)
        : NetDevice("eth0")
    {
        m_mac = mac;
        m_features = features;
        set_mtu(mtu);
    }
    bool transmit(Packet& packet) override
    {
        if (is_full)
            return false;
        if (on_transmit)
            on_transmit(std::move(packet));
        else
            packet = {};
        return true;
    }
    void flush() override
    {
        ++flushes;
        if (on_flush)
            on_flush();
    }
    bool is_transmit_idle() override { return !is_busy; }
    void notify_when_transmitted() override { notification_wanted = true; }
    usize receive(PacketList& list, usize budget) override
    {
        usize count = 0;
        while (count < budget && !m_inbox.is_empty()) {
            list.push_back(m_inbox.pop_front());
            ++count;
        }
        return count;
    }
    /// As drivers do it: short frames in one piece are offered where they lie.
    usize receive_through(ShortFrameTaker& taker, PacketList& list, usize budget) override
    {
        usize count = 0;
        for (; count < budget && !m_inbox.is_empty(); ++count) {
            Packet packet = m_inbox.pop_front();
            bool is_short = packet.fragment_count() == 1 && packet.length() <= 512;
            bool is_plain = packet.offload().checksum_verified && packet.offload().segmentation == Segmentation::None;
            if (is_short && is_plain && list.is_empty() && taker.take(packet.head()))
                ++short_frames_taken;
            else
                list.push_back(std::move(packet));
        }
        return count;
    }
    bool enable_receive_interrupts() override { return !m_inbox.is_empty(); }
    void disable_receive_interrupts() override { }

    void deliver(Packet packet) { m_inbox.push_back(std::move(packet)); }
    /// The device has transmitted all it had.
    void become_idle()
    {
        is_busy = false;
        if (std::exchange(notification_wanted, false))
            notify_client();
    }

    std::function<void(Packet)> on_transmit;
    std::function<void()> on_flush;
    bool is_full { false };
    bool is_busy { false };
    bool notification_wanted { false };
    u32 flushes { 0 };
    u32 short_frames_taken { 0 };

private:
    PacketList m_inbox;
};

class TestEnvironment final : public Environment {
public:
    explicit TestEnvironment(u64 seed = 1)
        : m_random(seed)
    {
    }
    Nanoseconds now() override { return time; }
    void random(std::span<u8> destination) override
    {
        for (u8& byte : destination)
            byte = static_cast<u8>(m_random());
    }
    Result<> wait(Stack&, WaitQueue&, bool (*condition)(void*), void* context, Nanoseconds deadline) override
    {
        if (!on_wait)
            return Errno::EAGAIN;
        while (!condition(context)) {
            if (time >= deadline)
                return Errno::ETIMEDOUT;
            if (!on_wait())
                return Errno::EAGAIN;
        }
        return {};
    }

    void work_arrived() override { ++arrivals; }

    Nanoseconds time { Nanoseconds::from_seconds(100) };
    u32 arrivals { 0 };
    /// Lets some time pass; false if nothing will ever happen.
    std::function<bool()> on_wait;

private:
    std::mt19937_64 m_random;
};

/// Writes frames to a file that Wireshark reads.
class PcapWriter {
public:
    explicit PcapWriter(const std::string& path)
        : m_file(std::fopen(path.c_str(), "wb"))
    {
        struct {
            u32 magic { 0xa1b23c4d }; // with nanoseconds
            u16 major { 2 }, minor { 4 };
            i32 zone { 0 };
            u32 accuracy { 0 }, limit { 262144 }, link { 1 };
        } header;
        std::fwrite(&header, sizeof(header), 1, m_file);
    }
    ~PcapWriter() { std::fclose(m_file); }
    void write(Nanoseconds time, const Frame& frame)
    {
        u32 length = static_cast<u32>(frame.size());
        std::array<u32, 4> record { static_cast<u32>(time.seconds()), static_cast<u32>(time.value() % 1'000'000'000),
            length, length };
        std::fwrite(record.data(), sizeof(record), 1, m_file);
        std::fwrite(frame.data(), frame.size(), 1, m_file);
    }

private:
    std::FILE* m_file;
};

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
