// gtest first: the kernel takes the macros of errno.h away.
#include <gtest/gtest.h>

#include "net/support/wire.h"

namespace eremite::net::test {

namespace {

struct Pair {
    SocketRef listener;
    SocketRef client;
    SocketRef server;
};

Pair connect(TwoStacks& net, int domain = abi::k_af_inet, u16 port = 80)
{
    Pair pair;
    pair.listener = make_socket(net.stack(1), abi::k_sock_stream, domain);
    const char* server = domain == abi::k_af_inet ? "10.0.0.2" : "fd00::2";
    EXPECT_TRUE(pair.listener->bind(address_of(domain == abi::k_af_inet ? "0.0.0.0" : "::", port)));
    EXPECT_TRUE(pair.listener->listen(16));
    pair.client = make_socket(net.stack(0), abi::k_sock_stream, domain);
    auto connected = pair.client->connect(address_of(server, port), false);
    EXPECT_TRUE(connected) << (connected.is_error() ? name_of(connected.error()) : "");
    SocketAddress peer;
    auto accepted = pair.listener->accept(false, &peer);
    EXPECT_TRUE(accepted) << (accepted.is_error() ? name_of(accepted.error()) : "");
    if (accepted)
        pair.server = accepted.release_value();
    return pair;
}

/// Sends `total` bytes from one socket to the other, in pieces of `piece`, and checks each byte.
void transfer(TwoStacks& net, Socket& from, Socket& to, usize total, usize piece,
    Nanoseconds limit = Nanoseconds::from_seconds(600))
{
    auto pattern = [](usize at) { return static_cast<u8>(at * 7 + at / 251); };
    std::vector<u8> out(piece);
    std::vector<u8> in(65536);
    usize sent = 0;
    usize received = 0;
    Nanoseconds end = net.now() + limit;
    while (received < total && net.now() < end) {
        while (sent < total) {
            usize length = std::min(piece, total - sent);
            for (usize i = 0; i < length; ++i)
                out[i] = pattern(sent + i);
            auto result = send(from, std::span(out).first(length), abi::k_msg_dontwait);
            if (result.is_error()) {
                ASSERT_EQ(result.error(), Errno::EAGAIN) << name_of(result.error());
                break;
            }
            sent += result.release_value();
        }
        while (true) {
            auto result = receive(to, in, abi::k_msg_dontwait);
            if (result.is_error()) {
                ASSERT_EQ(result.error(), Errno::EAGAIN) << name_of(result.error());
                break;
            }
            usize length = result.release_value();
            ASSERT_GT(length, 0u);
            for (usize i = 0; i < length; ++i)
                ASSERT_EQ(in[i], pattern(received + i)) << "at " << received + i;
            received += length;
        }
        net.step();
    }
    EXPECT_EQ(received, total) << "sent " << sent;
}

void finish(TwoStacks& net, Pair& pair)
{
    pair.client->close();
    pair.server->close();
    pair.listener->close();
    pair = {};
    net.run_for(Nanoseconds::from_seconds(130));
    EXPECT_EQ(net.stack(0).tcp().table().count(), 0u);
    EXPECT_EQ(net.stack(1).tcp().table().count(), 0u);
    EXPECT_EQ(net.stack(0).tcp().memory(), 0);
    EXPECT_EQ(net.stack(1).tcp().memory(), 0);
}

class Leaks {
public:
    ~Leaks()
    {
        EXPECT_EQ(packet_statistics().packets, m_before.packets);
        EXPECT_EQ(packet_statistics().buffers, m_before.buffers);
    }

private:
    PacketStatistics m_before { packet_statistics() };
};

} // namespace

TEST(TwoStacks, SayHello)
{
    Leaks leaks;
    TwoStacks net;
    auto pair = connect(net);
    ASSERT_TRUE(pair.server);
    ASSERT_TRUE(send(*pair.client, "hello"));
    net.run_for(Nanoseconds::from_milliseconds(1));
    EXPECT_EQ(receive_text(*pair.server), "hello");
    ASSERT_TRUE(send(*pair.server, "world"));
    net.run_for(Nanoseconds::from_milliseconds(1));
    EXPECT_EQ(receive_text(*pair.client), "world");
    EXPECT_TRUE(pair.client->shutdown(abi::k_shut_wr));
    net.run_for(Nanoseconds::from_milliseconds(1));
    std::array<u8, 4> buffer;
    EXPECT_EQ(receive(*pair.server, buffer).release_value(), 0u);
    finish(net, pair);
}

TEST(TwoStacks, SayHelloOverIpv6)
{
    Leaks leaks;
    TwoStacks net;
    auto pair = connect(net, abi::k_af_inet6);
    ASSERT_TRUE(pair.server);
    ASSERT_TRUE(send(*pair.client, "hello"));
    net.run_for(Nanoseconds::from_milliseconds(1));
    EXPECT_EQ(receive_text(*pair.server), "hello");
    finish(net, pair);
}

TEST(TwoStacks, TransferManySizes)
{
    Leaks leaks;
    for (usize piece : { 1, 100, 1000, 5000, 70000 }) {
        TwoStacks net;
        auto pair = connect(net);
        ASSERT_TRUE(pair.server);
        transfer(net, *pair.client, *pair.server, std::min<usize>(piece * 3000, 3'000'000), piece);
        finish(net, pair);
    }
}

TEST(TwoStacks, UseOffloads)
{
    Leaks leaks;
    TwoStacks net({}, { .checksum = true, .tso4 = true, .tso6 = true });
    auto pair = connect(net);
    ASSERT_TRUE(pair.server);
    u64 before = net.frames;
    transfer(net, *pair.client, *pair.server, 10'000'000, 65536);
    EXPECT_LT(net.frames - before, 2500u);
    finish(net, pair);
}

TEST(TwoStacks, SurviveLoss)
{
    Leaks leaks;
    for (u64 seed = 1; seed <= 4; ++seed) {
        TwoStacks net({ .loss = 0.03, .delay = Nanoseconds::from_milliseconds(10), .seed = seed });
        auto pair = connect(net);
        ASSERT_TRUE(pair.server);
        transfer(net, *pair.client, *pair.server, 2'000'000, 10000);
        finish(net, pair);
    }
}

TEST(TwoStacks, LoseLittlePaceToReordering)
{
    auto seconds = [](double reordering) {
        i64 sum = 0;
        for (u64 seed = 1; seed <= 8; ++seed) {
            TwoStacks net({ .loss = 0.02,
                .reordering = reordering,
                .delay = Nanoseconds::from_milliseconds(20),
                .reorder_delay = Nanoseconds::from_milliseconds(30),
                .seed = seed });
            auto pair = connect(net);
            Nanoseconds start = net.now();
            transfer(net, *pair.client, *pair.server, 4'000'000, 65536);
            sum += (net.now() - start).milliseconds();
            finish(net, pair);
        }
        return static_cast<double>(sum) / 1000;
    };
    double in_order = seconds(0);
    double reordered = seconds(0.02);
    EXPECT_LT(reordered, in_order * 1.2);
    RecordProperty("in order", std::to_string(in_order));
    RecordProperty("reordered", std::to_string(reordered));
}

TEST(TwoStacks, SurviveEveryFaultAtOnce)
{
    Leaks leaks;
    for (u64 seed = 1; seed <= 6; ++seed) {
        Faults faults { .loss = 0.02,
            .duplication = 0.02,
            .reordering = 0.05,
            .corruption = 0.01,
            .delay = Nanoseconds::from_milliseconds(5),
            .rate = 10'000'000,
            .seed = seed };
        bool offload = seed % 2 == 0;
        // A corrupted frame must be caught by the checksum, so the device may not vouch for it.
        if (offload)
            faults.corruption = 0;
        TwoStacks net(faults, { .checksum = offload, .tso4 = offload, .tso6 = offload });
        auto pair = connect(net, seed % 3 == 0 ? abi::k_af_inet6 : abi::k_af_inet);
        ASSERT_TRUE(pair.server);
        transfer(net, *pair.client, *pair.server, 1'000'000, 3000);
        transfer(net, *pair.server, *pair.client, 1'000'000, 3000);
        finish(net, pair);
    }
}

TEST(TwoStacks, SendDatagrams)
{
    Leaks leaks;
    TwoStacks net;
    auto server = make_socket(net.stack(1), abi::k_sock_dgram);
    ASSERT_TRUE(server->bind(address_of("0.0.0.0", 53)));
    auto client = make_socket(net.stack(0), abi::k_sock_dgram);
    auto to = address_of("10.0.0.2", 53);
    ASSERT_TRUE(send(*client, "question", 0, &to));
    std::vector<u8> large(9000, 7);
    ASSERT_TRUE(send(*client, large, 0, &to)); // in fragments
    net.run_for(Nanoseconds::from_milliseconds(5));
    EXPECT_EQ(receive_text(*server), "question");
    EXPECT_EQ(receive_text(*server).size(), 9000u);
    // Nobody there: the next call tells.
    auto lost = make_socket(net.stack(0), abi::k_sock_dgram);
    ASSERT_TRUE(lost->connect(address_of("10.0.0.2", 54), false));
    ASSERT_TRUE(send(*lost, "x"));
    net.run_for(Nanoseconds::from_milliseconds(5));
    EXPECT_EQ(send(*lost, "x").error(), Errno::ECONNREFUSED);
}

TEST(TwoStacks, RefuseWhereNobodyListens)
{
    TwoStacks net;
    auto client = make_socket(net.stack(0), abi::k_sock_stream);
    EXPECT_EQ(client->connect(address_of("10.0.0.2", 81), false).error(), Errno::ECONNREFUSED);
    auto nowhere = make_socket(net.stack(0), abi::k_sock_stream);
    EXPECT_EQ(nowhere->connect(address_of("10.0.0.77", 81), false).error(), Errno::EHOSTUNREACH);
}

TEST(TwoStacks, TalkToThemselves)
{
    Leaks leaks;
    TwoStacks net;
    auto listener = make_socket(net.stack(0), abi::k_sock_stream);
    ASSERT_TRUE(listener->bind(address_of("127.0.0.1", 80)));
    ASSERT_TRUE(listener->listen(1));
    auto client = make_socket(net.stack(0), abi::k_sock_stream);
    ASSERT_TRUE(client->connect(address_of("127.0.0.1", 80), false));
    auto server = listener->accept(true, nullptr).release_value();
    transfer(net, *client, *server, 5'000'000, 60000);
    transfer(net, *server, *client, 1000, 1);
    listener->close();
    client->close();
    server->close();
    net.run_for(Nanoseconds::from_seconds(61));
}

TEST(TwoStacks, OpenAndCloseManyTimes)
{
    Leaks leaks;
    TwoStacks net;
    auto listener = make_socket(net.stack(1), abi::k_sock_stream);
    ASSERT_TRUE(listener->bind(address_of("0.0.0.0", 80)));
    ASSERT_TRUE(listener->listen(128));
    for (int i = 0; i < 2000; ++i) {
        auto client = make_socket(net.stack(0), abi::k_sock_stream);
        ASSERT_TRUE(client->connect(address_of("10.0.0.2", 80), false)) << i;
        auto server = listener->accept(false, nullptr);
        ASSERT_TRUE(server);
        client->close();
        server.value()->close();
    }
    listener->close();
    net.run_for(Nanoseconds::from_seconds(70));
    EXPECT_EQ(net.stack(0).tcp().table().count(), 0u);
    EXPECT_EQ(net.stack(0).tcp().time_wait_count(), 0u);
}

TEST(TwoStacks, AcceptByCookiesUnderAFlood)
{
    TwoStacks net;
    auto listener = make_socket(net.stack(1), abi::k_sock_stream);
    ASSERT_TRUE(listener->bind(address_of("0.0.0.0", 80)));
    ASSERT_TRUE(listener->listen(4));
    // SYNs that nobody follows up.
    net.filter = [](usize from, Frame& frame) {
        return from != 1 || frame.size() < 54 || frame[12] != 8 || (frame[47] & 2) == 0;
    };
    std::vector<SocketRef> flood;
    for (int i = 0; i < 40; ++i) {
        flood.push_back(make_socket(net.stack(0), abi::k_sock_stream));
        EXPECT_EQ(flood.back()->connect(address_of("10.0.0.2", 80), true).error(), Errno::EINPROGRESS);
    }
    net.run_for(Nanoseconds::from_seconds(2)); // all of them go out once the neighbour is known
    net.filter = nullptr;
    EXPECT_GT(net.stack(1).statistics().tcp_syn_cookies_sent.value(), 0u);
    auto client = make_socket(net.stack(0), abi::k_sock_stream);
    ASSERT_TRUE(client->connect(address_of("10.0.0.2", 80), false));
    ASSERT_TRUE(send(*client, "through"));
    net.run_for(Nanoseconds::from_milliseconds(10));
    auto server = listener->accept(true, nullptr);
    ASSERT_TRUE(server);
    EXPECT_EQ(receive_text(*server.value()), "through");
    EXPECT_EQ(net.stack(1).statistics().tcp_syn_cookies_received.value(), 1u);
    flood.clear();
}

TEST(TwoStacks, ProbeAClosedWindow)
{
    TwoStacks net;
    auto pair = connect(net);
    ASSERT_TRUE(pair.server);
    std::vector<u8> bytes(100'000, 1);
    usize sent = 0;
    for (int i = 0; i < 30; ++i) {
        auto result = send(*pair.client, bytes, abi::k_msg_dontwait);
        if (result.has_value())
            sent += result.release_value();
        net.run_for(Nanoseconds::from_milliseconds(50));
    }
    net.run_for(Nanoseconds::from_seconds(300));
    usize received = 0;
    for (int i = 0; i < 2000 && received < sent; ++i) {
        received += receive_text(*pair.server).size();
        net.run_for(Nanoseconds::from_milliseconds(50));
    }
    EXPECT_EQ(received, sent);
    finish(net, pair);
}

TEST(TwoStacks, GiveUpOnAVanishedPeer)
{
    TwoStacks net;
    auto pair = connect(net);
    ASSERT_TRUE(pair.server);
    net.filter = [](usize, Frame&) { return false; };
    set_option(*pair.client, abi::k_sol_tcp, abi::k_tcp_user_timeout, 10000);
    ASSERT_TRUE(send(*pair.client, "anybody?"));
    net.run_for(Nanoseconds::from_seconds(60));
    std::array<u8, 8> buffer;
    EXPECT_EQ(receive(*pair.client, buffer).error(), Errno::ETIMEDOUT);
    EXPECT_TRUE(pair.client->readiness() & abi::k_pollhup);

    set_option(*pair.server, abi::k_sol_tcp, abi::k_tcp_keepidle, 5);
    set_option(*pair.server, abi::k_sol_tcp, abi::k_tcp_keepintvl, 1);
    set_option(*pair.server, abi::k_sol_tcp, abi::k_tcp_keepcnt, 3);
    set_option(*pair.server, abi::k_sol_socket, abi::k_so_keepalive, 1);
    net.run_for(Nanoseconds::from_seconds(20));
    EXPECT_EQ(receive(*pair.server, buffer).error(), Errno::ETIMEDOUT);
}

TEST(TwoStacks, Ping)
{
    TwoStacks net;
    auto socket = make_socket(net.stack(0), abi::k_sock_dgram, abi::k_af_inet, abi::k_ipproto_icmp);
    std::array<u8, 12> echo { 8, 0, 0, 0, 0, 0, 0, 1, 'p', 'i', 'n', 'g' };
    auto to = address_of("10.0.0.2", 0);
    ASSERT_TRUE(send(*socket, echo, 0, &to));
    net.run_for(Nanoseconds::from_milliseconds(2));
    std::string reply = receive_text(*socket);
    ASSERT_EQ(reply.size(), 12u);
    EXPECT_EQ(reply[0], 0);
    EXPECT_EQ(reply.substr(8), "ping");
}

} // namespace eremite::net::test
