// Traces of TCP connections that carry data, without loss: when is sent and acknowledged (RFC 9293, 1122, 7323).
#include <gtest/gtest.h>

#include "net/support/trace.h"

namespace eremite::net::test {

namespace {

constexpr int k_tcp = abi::k_ipproto_tcp;

/// The first ACKs of a connection are not delayed: the peer sends until one is, and gets that too. Returns what comes
/// next.
u32 use_up_quick_acks(TraceNetwork& net)
{
    for (u32 at = 1; at < 20; ++at) {
        net.in(seq(at), ack(1), data("q"));
        if (net.count_out() == 0) {
            EXPECT_GT(net.milliseconds_to_output(), 0);
            net.expect_out(ack(at + 1), length(0));
            return at + 1;
        }
    }
    ADD_FAILURE() << "no ACK was ever delayed";
    return 0;
}

int error_of(Socket& socket)
{
    int error = 0;
    EXPECT_TRUE(socket.get_option(abi::k_sol_socket, abi::k_so_error, writable_bytes_of(error)));
    return error;
}

} // namespace

TEST(TcpNagle, HoldsASecondSmallSegment)
{
    TraceNetwork net;
    auto socket = net.connect();
    ASSERT_TRUE(send(*socket, "a"));
    net.expect_out(seq(1), data("a"), psh);
    ASSERT_TRUE(send(*socket, "b"));
    ASSERT_TRUE(send(*socket, "c"));
    net.expect_silence();
    net.in(seq(1), ack(2));
    net.expect_out(seq(2), data("bc"), psh);
}

TEST(TcpNagle, SendsFullSegmentsAtOnce)
{
    TraceNetwork net;
    auto socket = net.connect();
    ASSERT_TRUE(send(*socket, "a"));
    net.expect_out(seq(1), data("a"));
    ASSERT_TRUE(send(*socket, std::string(2500, 'x')));
    net.expect_out(seq(2), length(1000));
    net.expect_out(seq(1002), length(1000));
    net.expect_silence();
}

TEST(TcpNagle, IsOffWithNoDelay)
{
    TraceNetwork net;
    auto socket = net.connect();
    set_option(*socket, k_tcp, abi::k_tcp_nodelay, 1);
    for (u32 i = 1; i < 5; ++i) {
        ASSERT_TRUE(send(*socket, "a"));
        net.expect_out(seq(i), data("a"));
    }
}

TEST(TcpCork, HoldsUntilPulledOrTwoHundredMilliseconds)
{
    TraceNetwork net;
    auto socket = net.connect();
    set_option(*socket, k_tcp, abi::k_tcp_cork, 1);
    ASSERT_TRUE(send(*socket, "head"));
    ASSERT_TRUE(send(*socket, "body"));
    net.expect_silence();
    set_option(*socket, k_tcp, abi::k_tcp_cork, 0);
    net.expect_out(seq(1), data("headbody"));
    net.in(seq(1), ack(9));
    set_option(*socket, k_tcp, abi::k_tcp_cork, 1);
    ASSERT_TRUE(send(*socket, "late"));
    net.advance_milliseconds(190);
    net.expect_silence();
    net.advance_milliseconds(15);
    net.expect_out(seq(9), data("late"));
}

TEST(TcpDelayedAck, WaitsFortyMilliseconds)
{
    TraceNetwork net;
    auto socket = net.connect();
    u32 at = use_up_quick_acks(net);
    net.in(seq(at), ack(1), data("x"));
    net.advance_milliseconds(38);
    net.expect_silence();
    net.advance_milliseconds(4);
    net.expect_out(seq(1), ack(at + 1), length(0));
}

TEST(TcpDelayedAck, RidesOnData)
{
    TraceNetwork net;
    auto socket = net.connect();
    u32 at = use_up_quick_acks(net);
    net.in(seq(at), ack(1), data("request"));
    net.expect_silence();
    ASSERT_TRUE(send(*socket, "reply"));
    net.expect_out(seq(1), ack(at + 7), data("reply"));
    net.advance_milliseconds(100);
    net.expect_silence();
}

TEST(TcpDelayedAck, EndsWithTheSecondFullSegment)
{
    TraceNetwork net;
    auto socket = net.connect({ .mss = 1460 });
    u32 at = use_up_quick_acks(net);
    net.in(seq(at), ack(1), length(1460));
    net.expect_silence();
    net.in(seq(at + 1460), ack(1), length(1460));
    net.expect_out(ack(at + 2920), length(0));
}

TEST(TcpQuickAck, IsAtOnceOnRequest)
{
    TraceNetwork net;
    auto socket = net.connect();
    u32 at = use_up_quick_acks(net);
    set_option(*socket, k_tcp, abi::k_tcp_quickack, 1);
    net.in(seq(at), ack(1), data("x"));
    net.expect_out(ack(at + 1), length(0));
}

TEST(TcpPaws, DropsWhatIsOlderThanTheLatest)
{
    TraceNetwork net;
    auto socket = net.connect({ .timestamp = 1000 });
    net.in(seq(1), ack(1), timestamps(2000, 0), data("new"));
    net.expect_out(ack(4), timestamps(0, 2000));
    net.in(seq(4), ack(1), timestamps(1999, 0), data("old")); // RFC 7323, 5.3 R1
    net.expect_out(ack(4), timestamps(0, 2000), length(0));
    EXPECT_EQ(net.stack->statistics().tcp_paws_rejected.value(), 1u);
    EXPECT_EQ(receive_text(*socket), "new");
    net.in(seq(4), ack(1), timestamps(2000, 0), data("same"));
    EXPECT_EQ(receive_text(*socket), "same");
}

TEST(TcpPaws, EchoesTheSegmentThatMovedTheWindow)
{
    TraceNetwork net;
    auto socket = net.connect({ .timestamp = 1000 });
    net.in(seq(11), ack(1), timestamps(1200, 0), data("2222222222"));
    net.expect_out(ack(1), timestamps(0, 1000), sack({ { 11, 21 } })); // RFC 7323, 4.3: not the one behind the gap
    net.in(seq(1), ack(1), timestamps(1100, 0), data("1111111111"));
    net.expect_out(ack(21), timestamps(0, 1100));
}

TEST(TcpPaws, LetsAResetThrough)
{
    TraceNetwork net;
    auto socket = net.connect({ .timestamp = 1000 });
    net.in(rst, seq(1), timestamps(1, 0)); // RFC 7323, 5.2
    EXPECT_EQ(error_of(*socket), static_cast<int>(Errno::ECONNRESET));
}

TEST(TcpZeroWindow, IsProbedEverMoreSeldom)
{
    TraceNetwork net;
    auto socket = net.connect();
    net.in(seq(1), ack(1), window(0));
    ASSERT_TRUE(send(*socket, "held"));
    net.expect_silence();
    for (i64 wait : { 200, 400, 800, 1600 }) {
        EXPECT_NEAR(net.milliseconds_to_output(), wait, 2);
        net.expect_out(seq(0), ack(1), length(0));
    }
    net.in(seq(1), ack(1), window(0)); // still shut, but alive
    net.expect_silence();
    net.in(seq(1), ack(1), window(100));
    net.expect_out(seq(1), data("held"));
}

TEST(TcpZeroWindow, IsAdvertisedAndOpenedByReading)
{
    TraceNetwork net;
    auto socket
        = net.connect({}, [](Socket& socket) { set_option(socket, abi::k_sol_socket, abi::k_so_rcvbuf, 4096); });
    u32 room = net.info_of(*socket).rcv_ssthresh;
    EXPECT_LE(room, 8192u);
    for (u32 at = 1; at < 8193; at += 1024)
        net.in(seq(at), ack(1), length(1024));
    net.count_out();
    net.in(seq(8193), ack(1), length(100)); // beyond the window
    net.expect_out(window(0), length(0));
    u32 got = static_cast<u32>(receive_text(*socket).size());
    EXPECT_NEAR(got, room, 128);
    net.expect_out(ack(1 + got), length(0)); // the reader made room: that is told at once
    net.in(seq(1 + got), ack(1), length(1024));
    EXPECT_EQ(receive_text(*socket).size(), 1024u);
}

TEST(TcpSillyWindow, SendsNoCrumbs)
{
    TraceNetwork net;
    auto socket = net.connect({ .window_scale = {} });
    net.in(seq(1), ack(1), window(10)); // RFC 9293, 3.8.6.2.1
    ASSERT_TRUE(send(*socket, std::string(3000, 'x')));
    net.expect_silence();
    net.in(seq(1), ack(1), window(2000));
    net.expect_out(seq(1), length(1000));
    net.expect_out(seq(1001), length(1000));
}

TEST(TcpKeepAlive, ProbesAndGivesUp)
{
    TraceNetwork net;
    auto socket = net.connect({}, [](Socket& socket) {
        set_option(socket, abi::k_sol_socket, abi::k_so_keepalive, 1);
        set_option(socket, k_tcp, abi::k_tcp_keepidle, 10);
        set_option(socket, k_tcp, abi::k_tcp_keepintvl, 2);
        set_option(socket, k_tcp, abi::k_tcp_keepcnt, 3);
    });
    net.advance_milliseconds(9990);
    net.expect_silence();
    net.advance_milliseconds(15);
    net.expect_out(seq(0), ack(1), length(0));
    net.in(seq(1), ack(1)); // alive
    net.advance_milliseconds(9980);
    net.expect_silence();
    for (i64 wait : { 30, 2000, 2000 }) {
        net.advance_milliseconds(wait);
        net.expect_out(seq(0), ack(1), length(0));
    }
    net.expect_silence();
    net.advance_milliseconds(2010);
    net.expect_out(rst, seq(1));
    EXPECT_EQ(error_of(*socket), static_cast<int>(Errno::ETIMEDOUT));
}

TEST(TcpKeepAlive, IsAnsweredByThePeer)
{
    TraceNetwork net;
    auto socket = net.connect();
    net.in(seq(0), ack(1)); // the peer's probe, an old sequence number
    net.expect_out(seq(1), ack(1), length(0));
}

TEST(TcpUserTimeout, EndsAConnectionThatIsNotAcknowledged)
{
    TraceNetwork net;
    auto socket = net.connect();
    set_option(*socket, k_tcp, abi::k_tcp_user_timeout, 3000);
    ASSERT_TRUE(send(*socket, "hello"));
    net.advance_milliseconds(2500);
    EXPECT_EQ(error_of(*socket), 0);
    net.advance_milliseconds(6000);
    EXPECT_EQ(error_of(*socket), static_cast<int>(Errno::ETIMEDOUT));
}

TEST(TcpReceiver, ReportsGapsNewestFirst)
{
    TraceNetwork net;
    auto socket = net.connect();
    net.in(seq(11), ack(1), length(10));
    net.expect_out(ack(1), sack({ { 11, 21 } }));
    net.in(seq(31), ack(1), length(10));
    net.expect_out(ack(1), sack({ { 31, 41 }, { 11, 21 } }));
    net.in(seq(21), ack(1), length(10)); // joins both (RFC 2018, 4)
    net.expect_out(ack(1), sack({ { 11, 41 } }));
    net.in(seq(1), ack(1), length(10));
    net.expect_out(ack(41), no_sack());
    EXPECT_EQ(receive_text(*socket).size(), 40u);
}

TEST(TcpReceiver, ReportsDuplicates)
{
    TraceNetwork net;
    auto socket = net.connect();
    net.in(seq(1), ack(1), data("0123456789"));
    net.expect_out(ack(11));
    net.in(seq(1), ack(1), data("0123456789"));
    net.expect_out(ack(11), sack({ { 1, 11 } })); // D-SACK: RFC 2883, 4
    net.in(seq(6), ack(1), data("56789abcde"));
    net.expect_out(ack(16), sack({ { 6, 11 } }));
    EXPECT_EQ(receive_text(*socket), "0123456789abcde");
}

TEST(TcpReceiver, TakesOverlapsOnce)
{
    TraceNetwork net;
    auto socket = net.connect();
    net.in(seq(5), ack(1), data("4567"));
    net.in(seq(7), ack(1), data("6789"));
    net.in(seq(3), ack(1), data("2345"));
    net.in(seq(1), ack(1), data("01"));
    EXPECT_EQ(receive_text(*socket), "0123456789");
}

} // namespace eremite::net::test
