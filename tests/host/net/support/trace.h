// One stack and, on the other end of its wire, the test itself: segments that the test sends, and what it expects to
// see.
//
//     TraceNetwork net;
//     auto socket = net.connect();
//     send(*socket, "hello");
//     net.expect_out(seq(1), ack(1), data("hello"));
//     net.in(seq(1), ack(6));
//     net.expect_silence();
//
// Sequence numbers count from each side's SYN, timestamps of the stack from that in its SYN, so that a trace reads as
// in the RFCs. Every segment that leaves is checked for its sums. Time stands still but in advance().
#pragma once

#include "net/headers.h"
#include "net/support/wire.h"
#include "net/tcp/tcp_options.h"

#include <deque>

namespace eremite::net::test {

/// What a segment is, or is expected to be: absent means "does not matter", but for SYN, FIN and RST, which are there
/// exactly if they are named.
struct Pattern {
    std::optional<u32> seq {}, ack {}, window {}, length {};
    u8 flags { 0 };
    std::optional<std::string> data {};
    std::optional<u16> mss {}, port {};
    std::optional<u8> window_scale {};
    std::optional<bool> sack_permitted {}, has_timestamps {}, push {};
    std::optional<TcpTimestamps> timestamps {};
    std::optional<std::vector<SequenceRange>> sack {};
};
using Field = std::function<void(Pattern&)>;

// The words of a trace.
inline Field seq(u32 number)
{
    return [=](Pattern& p) { p.seq = number; };
}
inline Field ack(u32 number)
{
    return [=](Pattern& p) { p.ack = number; };
}
/// As it stands in the header, unscaled.
inline Field window(u32 value)
{
    return [=](Pattern& p) { p.window = value; };
}
inline Field data(std::string_view text)
{
    return [text = std::string(text)](Pattern& p) { p.data = text; };
}
/// So many bytes of payload, whatever they are.
inline Field length(u32 bytes)
{
    return [=](Pattern& p) { p.length = bytes; };
}
inline Field mss(u16 value)
{
    return [=](Pattern& p) { p.mss = value; };
}
inline Field window_scale(u8 value)
{
    return [=](Pattern& p) { p.window_scale = value; };
}
inline Field timestamps(u32 value, u32 echo)
{
    return [=](Pattern& p) { p.timestamps = TcpTimestamps { value, echo }; };
}
inline Field sack(std::vector<SequenceRange> ranges)
{
    return [ranges = std::move(ranges)](Pattern& p) { p.sack = ranges; };
}
inline Field no_sack()
{
    return sack({});
}
/// Of the peer, where it isn't 80 (connect) or 40000 (accept).
inline Field peer_port(u16 port)
{
    return [=](Pattern& p) { p.port = port; };
}
inline void syn(Pattern& p)
{
    p.flags |= TcpHeader::k_syn;
}
inline void fin(Pattern& p)
{
    p.flags |= TcpHeader::k_fin;
}
inline void rst(Pattern& p)
{
    p.flags |= TcpHeader::k_rst;
}
inline void psh(Pattern& p)
{
    p.push = true;
}
inline void sack_permitted(Pattern& p)
{
    p.sack_permitted = true;
}
inline void no_timestamps(Pattern& p)
{
    p.has_timestamps = false;
}

/// How the peer shakes hands.
struct PeerOptions {
    u16 mss { 1000 };
    bool sack { true };
    std::optional<u8> window_scale { 7 };
    std::optional<u32> timestamp {};
    u16 window { 65535 };
    /// Between our SYN and its answer.
    i64 round_trip_milliseconds { 0 };
};

class TraceNetwork {
public:
    static constexpr u32 k_peer_isn = 0xffff'fff0; // so that every trace passes the wrap of sequence numbers
    explicit TraceNetwork(u32 mtu = 1500)
        : device({ 2, 0, 0, 0, 0, 1 }, {}, mtu)
    {
        device.on_transmit = [this](Packet packet) { take(bytes_of_packet(packet)); };
        stack = Stack::create(environment).release_value();
        interface = stack->add_device(device).release_value();
        EXPECT_TRUE(interface->add_address({ .address = IpAddress::v4(10, 0, 0, 1), .prefix = 24 }));
        settle();
    }
    ~TraceNetwork() { device.on_transmit = nullptr; }

    /// A stream socket that doesn't block.
    SocketRef open() { return make_socket(*stack, abi::k_sock_stream); }

    /// Connects to the peer's port 80; the handshake is over when it returns.
    SocketRef connect(PeerOptions peer = {}, std::function<void(Socket&)> prepare = {})
    {
        auto socket = open();
        if (prepare)
            prepare(*socket);
        start_connect(*socket);
        expect_out(syn, seq(0));
        advance_milliseconds(peer.round_trip_milliseconds);
        in(syn, seq(0), ack(1), with(peer));
        expect_out(seq(1), ack(1), length(0));
        expect_silence();
        return socket;
    }
    void start_connect(Socket& socket, u16 port = 80)
    {
        EXPECT_EQ(socket.connect(address_of("10.0.0.2", port), true).error(), Errno::EINPROGRESS);
        settle();
    }

    /// A listener on port 7.
    SocketRef listen(int backlog = 16, std::function<void(Socket&)> prepare = {})
    {
        auto socket = open();
        if (prepare)
            prepare(*socket);
        EXPECT_TRUE(socket->bind(address_of("0.0.0.0", k_listen_port)));
        EXPECT_TRUE(socket->listen(backlog));
        m_listening = true;
        return socket;
    }
    /// Accepts the connection that the peer makes from port 40000 and shakes hands for.
    SocketRef accept(Socket& listener, PeerOptions peer = {})
    {
        in(syn, seq(0), with(peer));
        expect_out(syn, seq(0), ack(1));
        in(seq(1), ack(1));
        expect_silence();
        return take_accepted(listener);
    }
    static SocketRef take_accepted(Socket& listener)
    {
        SocketAddress peer;
        auto accepted = listener.accept(true, &peer);
        EXPECT_TRUE(accepted) << (accepted.is_error() ? name_of(accepted.error()) : "");
        return accepted ? accepted.release_value() : SocketRef {};
    }

    /// The peer sends a segment: ACK is set exactly if ack() is given.
    template<typename... Fields> void in(Fields... fields)
    {
        Pattern pattern;
        (Field(fields)(pattern), ...);
        device.deliver(packet_of(frame_of(pattern)));
        settle();
    }
    /// The next segment that the stack has sent, or else the test fails.
    template<typename... Fields> void expect_out(Fields... fields)
    {
        Pattern pattern;
        (Field(fields)(pattern), ...);
        settle();
        if (m_out.empty()) {
            ADD_FAILURE() << "nothing was sent, expected" << text_of(pattern);
            return;
        }
        Pattern actual = m_out.front();
        m_out.pop_front();
        std::string difference = compare(pattern, actual);
        EXPECT_TRUE(difference.empty()) << "sent" << text_of(actual) << "\nexpected" << text_of(pattern) << "\n"
                                        << difference;
    }
    void expect_silence()
    {
        settle();
        EXPECT_TRUE(m_out.empty()) << "unexpectedly sent" << text_of(m_out.front());
        m_out.clear();
    }
    /// How many segments were sent; they are forgotten.
    usize count_out()
    {
        settle();
        return std::exchange(m_out, {}).size();
    }
    void forget_out() { m_out.clear(); }
    /// For fuzzers: makes the TCP header's ports and sequence numbers those of the last connection, counted from its
    /// SYNs.
    void rebase(std::span<u8> segment)
    {
        if (segment.size() < sizeof(TcpHeader))
            return;
        TcpHeader header;
        std::memcpy(&header, segment.data(), sizeof(header));
        header.source_port = 80;
        header.destination_port = m_stack_port;
        header.sequence = header.sequence + k_peer_isn;
        header.acknowledgment = header.acknowledgment + m_stack_isn;
        std::memcpy(segment.data(), &header, sizeof(header));
    }
    /// Their payloads, in bytes.
    u32 bytes_out()
    {
        u32 bytes = 0;
        settle();
        for (auto& segment : std::exchange(m_out, {}))
            bytes += *segment.length;
        return bytes;
    }
    /// Lets virtual time pass, timer by timer.
    void advance(Nanoseconds duration)
    {
        Nanoseconds end = environment.time + duration;
        settle();
        while (stack->next_deadline() <= end) {
            environment.time = std::max(environment.time, stack->next_deadline());
            settle();
        }
        environment.time = end;
        settle();
    }
    /// Lets time pass until something is sent; how many milliseconds that took, or -1 if it never is.
    i64 milliseconds_to_output()
    {
        Nanoseconds start = environment.time;
        settle();
        while (m_out.empty()) {
            if (stack->next_deadline() == Nanoseconds::max())
                return -1;
            environment.time = std::max(environment.time, stack->next_deadline());
            settle();
        }
        return (environment.time - start).milliseconds();
    }
    void advance_milliseconds(i64 count) { advance(Nanoseconds::from_milliseconds(count)); }
    void advance_seconds(i64 count) { advance(Nanoseconds::from_seconds(count)); }

    static abi::TcpInfo info_of(Socket& socket)
    {
        abi::TcpInfo info {};
        EXPECT_TRUE(socket.get_option(abi::k_ipproto_tcp, abi::k_tcp_info, writable_bytes_of(info)));
        return info;
    }
    /// The frame of a segment of the peer's.
    Frame frame_of(const Pattern& pattern)
    {
        TcpOptions options;
        options.mss = pattern.mss;
        options.window_scale = pattern.window_scale;
        options.sack_permitted = pattern.sack_permitted.value_or(false);
        options.timestamps = pattern.timestamps;
        if (options.timestamps && pattern.ack)
            options.timestamps->echo += m_stack_clock;
        for (auto range : pattern.sack.value_or(std::vector<SequenceRange> {}))
            options.sack[options.sack_count++] = { m_stack_isn + range.start, m_stack_isn + range.end };
        std::array<u8, TcpOptions::k_max_length> option_bytes {};
        usize option_length = options.write(option_bytes);
        std::string payload = pattern.data.value_or(std::string(pattern.length.value_or(0), 'x'));
        usize tcp_length = sizeof(TcpHeader) + option_length + payload.size();
        u8 flags = pattern.flags;
        if (pattern.ack)
            flags |= TcpHeader::k_ack;
        Frame frame(sizeof(EthernetHeader) + sizeof(Ipv4Header) + tcp_length);
        auto place = [&, at = usize { 0 }](const auto& part) mutable {
            std::memcpy(frame.data() + at, &part, sizeof(part));
            at += sizeof(part);
        };
        place(EthernetHeader { device.mac(), k_peer_mac, k_ethertype_ipv4 });
        Ipv4Header ip { .version_and_length = 0x45,
            .traffic_class = 0,
            .total_length = static_cast<u16>(sizeof(Ipv4Header) + tcp_length),
            .identification = 1,
            .fragment = Ipv4Header::k_dont_fragment,
            .ttl = 64,
            .protocol = Protocol::Tcp,
            .checksum = 0,
            .source = 0x0a000002,
            .destination = 0x0a000001 };
        ip.checksum = static_cast<u16>(~sum_of({ reinterpret_cast<u8*>(&ip), sizeof(ip) }));
        place(ip);
        place(TcpHeader { .source_port = pattern.port.value_or(m_listening ? 40000 : 80),
            .destination_port = m_listening ? k_listen_port : m_stack_port,
            .sequence = k_peer_isn + pattern.seq.value_or(1),
            .acknowledgment = pattern.ack ? m_stack_isn + *pattern.ack : 0,
            .data_offset = static_cast<u8>((sizeof(TcpHeader) + option_length) << 2),
            .flags = flags,
            .window = static_cast<u16>(pattern.window.value_or(65535)),
            .checksum = 0,
            .urgent = 0 });
        u8* tail = frame.data() + sizeof(EthernetHeader) + sizeof(Ipv4Header) + sizeof(TcpHeader);
        std::memcpy(tail, option_bytes.data(), option_length);
        std::memcpy(tail + option_length, payload.data(), payload.size());
        u16 sum = static_cast<u16>(~tcp_sum(frame));
        auto* checksum = frame.data() + sizeof(EthernetHeader) + sizeof(Ipv4Header) + 16;
        checksum[0] = static_cast<u8>(sum >> 8);
        checksum[1] = static_cast<u8>(sum);
        return frame;
    }
    static Field with(PeerOptions peer)
    {
        return [=](Pattern& p) {
            p.mss = peer.mss;
            p.sack_permitted = peer.sack;
            p.window_scale = peer.window_scale;
            p.window = peer.window;
            if (peer.timestamp)
                p.timestamps = TcpTimestamps { *peer.timestamp, 0 };
        };
    }
    void settle()
    {
        while (stack->poll()) { }
        stack->finish();
    }

    WireDevice device;
    TestEnvironment environment;
    OwnPtr<Stack> stack;
    Interface* interface { nullptr };

private:
    static constexpr u16 k_listen_port = 7;
    static constexpr MacBytes k_peer_mac { 2, 0, 0, 0, 0, 2 };

    /// The one's complement sum, written from RFC 1071 and nothing of the stack's.
    static u16 sum_of(std::span<const u8> bytes, u32 sum = 0)
    {
        for (usize i = 0; i < bytes.size(); ++i)
            sum += i % 2 == 0 ? u32 { bytes[i] } << 8 : bytes[i];
        while (sum >> 16)
            sum = (sum & 0xffff) + (sum >> 16);
        return static_cast<u16>(sum);
    }
    static u16 tcp_sum(std::span<const u8> frame)
    {
        auto ip = frame.subspan(sizeof(EthernetHeader));
        auto segment = ip.subspan(sizeof(Ipv4Header));
        return sum_of(segment, sum_of(ip.subspan(12, 8)) + 6u + static_cast<u32>(segment.size()));
    }

    template<typename T> static T part_of(std::span<const u8> frame, usize offset)
    {
        T part;
        std::memcpy(&part, frame.data() + offset, sizeof(T));
        return part;
    }

    /// A frame that the stack has sent.
    void take(const Frame& frame)
    {
        ASSERT_GE(frame.size(), sizeof(EthernetHeader));
        auto ethernet = part_of<EthernetHeader>(frame, 0);
        if (ethernet.type == k_ethertype_arp)
            return answer_arp(frame);
        if (ethernet.type != k_ethertype_ipv4)
            return; // neighbour discovery and the like
        auto ip = part_of<Ipv4Header>(frame, sizeof(EthernetHeader));
        if (ip.protocol != Protocol::Tcp)
            return;
        ASSERT_EQ(ip.total_length + sizeof(EthernetHeader), frame.size());
        EXPECT_EQ(sum_of(std::span(frame).subspan(sizeof(EthernetHeader), sizeof(Ipv4Header))), 0xffff);
        EXPECT_EQ(tcp_sum(frame), 0xffff) << "TCP checksum";
        auto tcp = part_of<TcpHeader>(frame, sizeof(EthernetHeader) + sizeof(Ipv4Header));
        auto rest = std::span(frame).subspan(sizeof(EthernetHeader) + sizeof(Ipv4Header) + sizeof(TcpHeader));
        usize option_length = tcp.header_length() - sizeof(TcpHeader);
        TcpOptions options = TcpOptions::parse(rest.first(option_length));
        auto payload = rest.subspan(option_length);
        bool is_syn = (tcp.flags & TcpHeader::k_syn) != 0;
        m_stack_port = tcp.source_port;
        if (is_syn) {
            m_stack_isn = tcp.sequence;
            m_stack_clock = options.timestamps ? options.timestamps->value : 0;
        }
        Pattern p;
        p.seq = tcp.sequence - m_stack_isn;
        if ((tcp.flags & TcpHeader::k_ack) != 0)
            p.ack = tcp.acknowledgment - k_peer_isn;
        p.flags = tcp.flags & (TcpHeader::k_syn | TcpHeader::k_fin | TcpHeader::k_rst);
        p.push = (tcp.flags & TcpHeader::k_psh) != 0;
        p.window = tcp.window;
        p.port = tcp.destination_port;
        p.length = static_cast<u32>(payload.size());
        p.data = std::string(payload.begin(), payload.end());
        p.mss = options.mss;
        p.window_scale = options.window_scale;
        p.sack_permitted = options.sack_permitted;
        p.has_timestamps = options.timestamps.has_value();
        if (options.timestamps)
            p.timestamps = TcpTimestamps { options.timestamps->value - m_stack_clock, options.timestamps->echo };
        p.sack.emplace();
        for (auto& range : std::span(options.sack).first(options.sack_count))
            p.sack->push_back({ range.start - k_peer_isn, range.end - k_peer_isn });
        m_out.push_back(std::move(p));
    }
    void answer_arp(const Frame& frame)
    {
        auto request = part_of<ArpMessage>(frame, sizeof(EthernetHeader));
        if (request.operation != ArpMessage::k_request || request.target_ip != 0x0a000002)
            return;
        Frame reply(60);
        EthernetHeader ethernet { device.mac(), k_peer_mac, k_ethertype_arp };
        ArpMessage message { 1, k_ethertype_ipv4, 6, 4, ArpMessage::k_reply, k_peer_mac, request.target_ip,
            request.sender_mac, request.sender_ip };
        std::memcpy(reply.data(), &ethernet, sizeof(ethernet));
        std::memcpy(reply.data() + sizeof(ethernet), &message, sizeof(message));
        device.deliver(packet_of(reply));
    }

    static std::string text_of(const Pattern& p)
    {
        std::string text;
        auto add = [&](const char* name, const auto& value) {
            if (value)
                text += std::string(" ") + name + "(" + std::to_string(*value) + ")";
        };
        for (auto [bit, name] :
            { std::pair { TcpHeader::k_syn, " syn" }, { TcpHeader::k_fin, " fin" }, { TcpHeader::k_rst, " rst" } })
            text += (p.flags & bit) != 0 ? name : "";
        add("seq", p.seq);
        add("ack", p.ack);
        add("length", p.length);
        add("window", p.window);
        add("mss", p.mss);
        add("window_scale", p.window_scale);
        if (p.timestamps)
            text += " timestamps(" + std::to_string(p.timestamps->value) + ", " + std::to_string(p.timestamps->echo)
                + ")";
        for (auto& range : p.sack.value_or(std::vector<SequenceRange> {}))
            text += " sack(" + std::to_string(range.start) + ", " + std::to_string(range.end) + ")";
        if (p.data && p.data->size() < 100)
            text += " \"" + *p.data + "\"";
        return text;
    }
    static std::string compare(const Pattern& expected, const Pattern& actual)
    {
        std::string text;
        auto check = [&](const char* name, const auto& wanted, const auto& got) {
            if (wanted && wanted != got)
                text += std::string(name) + " differs; ";
        };
        if (expected.flags != actual.flags)
            text += "flags differ; ";
        check("seq", expected.seq, actual.seq);
        check("ack", expected.ack, actual.ack);
        check("length", expected.length, actual.length);
        check("window", expected.window, actual.window);
        check("data", expected.data, actual.data);
        check("port", expected.port, actual.port);
        check("mss", expected.mss, actual.mss);
        check("window_scale", expected.window_scale, actual.window_scale);
        check("sack_permitted", expected.sack_permitted, actual.sack_permitted);
        check("has_timestamps", expected.has_timestamps, actual.has_timestamps);
        check("push", expected.push, actual.push);
        check("sack", expected.sack, actual.sack);
        if (expected.timestamps
            && (!actual.timestamps || expected.timestamps->value != actual.timestamps->value
                || expected.timestamps->echo != actual.timestamps->echo))
            text += "timestamps differ; ";
        return text;
    }

    bool m_listening { false };
    u16 m_stack_port { 0 };
    u32 m_stack_isn { 0 };
    u32 m_stack_clock { 0 };
    std::deque<Pattern> m_out;
};

} // namespace eremite::net::test
