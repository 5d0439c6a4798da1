// Traces of TCP connections that begin and end: RFC 9293, 7323 (options), 4987 (cookies), 5961 (challenge ACKs).
#include <gtest/gtest.h>

#include "net/support/trace.h"

namespace eremite::net::test {

namespace {

int error_of(Socket& socket)
{
    int error = 0;
    EXPECT_TRUE(socket.get_option(abi::k_sol_socket, abi::k_so_error, writable_bytes_of(error)));
    return error;
}

int number(Errno error)
{
    return static_cast<int>(error);
}

} // namespace

TEST(TcpHandshake, OffersAllThatItCan)
{
    TraceNetwork net;
    auto socket = net.open();
    net.start_connect(*socket);
    net.expect_out(syn, seq(0), mss(1460), window_scale(7), sack_permitted, timestamps(0, 0), window(65535));
    net.in(syn, seq(0), ack(1), mss(1000), window_scale(2), sack_permitted, timestamps(500, 0));
    net.expect_out(seq(1), ack(1), timestamps(0, 500), length(0));
    EXPECT_EQ(net.info_of(*socket).snd_mss, 988u); // the peer's 1000 without 12 of options
}

TEST(TcpHandshake, DoesWithoutWhatThePeerLacks)
{
    TraceNetwork net;
    auto socket = net.open();
    net.start_connect(*socket);
    net.expect_out(syn, seq(0));
    net.in(syn, seq(0), ack(1));
    net.expect_out(seq(1), ack(1), no_timestamps);
    ASSERT_TRUE(send(*socket, std::string(600, 'x')));
    net.expect_out(seq(1), length(536), no_timestamps); // RFC 9293, 3.7.1: the default
    net.expect_out(seq(537), length(64), no_timestamps);
}

TEST(TcpHandshake, ScalesThePeersWindow)
{
    TraceNetwork net;
    auto socket = net.connect({ .window_scale = 4 });
    net.in(seq(1), ack(1), window(125)); // 2000 bytes
    ASSERT_TRUE(send(*socket, std::string(5000, 'x')));
    net.expect_out(seq(1), length(1000));
    net.expect_out(seq(1001), length(1000));
    net.expect_silence();
    net.in(seq(1), ack(2001), window(63)); // 1008
    net.expect_out(seq(2001), length(1000));
    net.expect_silence();
}

TEST(TcpHandshake, ScalesItsOwnWindow)
{
    TraceNetwork net;
    auto socket = net.connect();
    net.in(seq(1), ack(1), length(1280));
    net.expect_out(seq(1), window((net.info_of(*socket).rcv_ssthresh >> 7) - 10));
}

TEST(TcpHandshake, IsRefused)
{
    TraceNetwork net;
    auto socket = net.open();
    net.start_connect(*socket);
    net.expect_out(syn, seq(0));
    net.in(rst, seq(0), ack(1));
    net.expect_silence();
    EXPECT_EQ(error_of(*socket), number(Errno::ECONNREFUSED));
}

TEST(TcpHandshake, DoesNotBelieveAResetOfAnotherConnection)
{
    TraceNetwork net;
    auto socket = net.open();
    net.start_connect(*socket);
    net.expect_out(syn, seq(0));
    net.in(rst, seq(0), ack(7));
    net.in(syn, seq(0), ack(5));
    net.expect_out(rst, seq(5), length(0)); // RFC 9293, 3.10.7.3
    net.in(syn, seq(0), ack(1));
    net.expect_out(seq(1), ack(1));
}

TEST(TcpHandshake, SendsTheSynAgainAfterOneTwoAndFourSeconds)
{
    TraceNetwork net;
    auto socket = net.open();
    set_option(*socket, abi::k_ipproto_tcp, abi::k_tcp_syncnt, 3);
    net.start_connect(*socket);
    net.expect_out(syn, seq(0));
    for (i64 wait : { 1000, 2000, 4000 }) {
        net.advance_milliseconds(wait - 10);
        net.expect_silence();
        net.advance_milliseconds(15);
        net.expect_out(syn, seq(0), mss(1460));
    }
    net.advance_seconds(9);
    net.expect_silence();
    EXPECT_EQ(error_of(*socket), number(Errno::ETIMEDOUT));
}

TEST(TcpHandshake, AcceptsAndAnswersInKind)
{
    TraceNetwork net;
    auto listener = net.listen();
    net.in(syn, seq(0), mss(1000), window_scale(3), sack_permitted, timestamps(77, 0));
    net.expect_out(syn, seq(0), ack(1), mss(1460), window_scale(7), sack_permitted, timestamps(0, 77), window(65535));
    net.in(seq(1), ack(1), timestamps(78, 0), data("hello"));
    auto socket = net.take_accepted(*listener);
    ASSERT_TRUE(socket);
    EXPECT_EQ(receive_text(*socket), "hello");
    net.expect_out(seq(1), ack(6), timestamps(0, 78));
}

TEST(TcpHandshake, SendsTheSynAckAgain)
{
    TraceNetwork net;
    auto listener = net.listen();
    net.in(syn, seq(0), mss(1000));
    net.expect_out(syn, seq(0), ack(1));
    net.advance_milliseconds(1010);
    net.expect_out(syn, seq(0), ack(1));
    net.in(syn, seq(0), mss(1000)); // the peer's SYN again: both answers were lost
    net.expect_out(syn, seq(0), ack(1));
    net.in(seq(1), ack(1));
    EXPECT_TRUE(net.take_accepted(*listener));
}

TEST(TcpHandshake, ResetsWhatNobodyListensFor)
{
    TraceNetwork net;
    auto socket = net.connect(); // to learn of a port of ours
    net.in(peer_port(81), syn, seq(0));
    net.expect_out(peer_port(81), rst, ack(1), length(0));
    net.in(peer_port(81), seq(1), ack(900));
    net.expect_out(peer_port(81), rst, seq(900), length(0));
    net.in(peer_port(81), rst, seq(1));
    net.expect_silence();
}

TEST(TcpHandshake, OpensSimultaneously)
{
    TraceNetwork net;
    auto socket = net.open();
    net.start_connect(*socket);
    net.expect_out(syn, seq(0));
    net.in(syn, seq(0), mss(1000), window_scale(7), sack_permitted);
    net.expect_out(syn, seq(0), ack(1), sack_permitted);
    net.in(syn, seq(0), ack(1), mss(1000), window_scale(7), sack_permitted);
    EXPECT_EQ(net.info_of(*socket).state, static_cast<u8>(TcpConnection::State::Established));
    net.count_out();
    ASSERT_TRUE(send(*socket, "hello"));
    net.expect_out(seq(1), ack(1), data("hello"));
}

TEST(TcpSynCookies, RememberNothingAndYetConnect)
{
    TraceNetwork net;
    auto listener = net.listen(16);
    for (u16 port = 1000; port < 1016; ++port) {
        net.in(peer_port(port), syn, seq(0), mss(1000));
        net.expect_out(peer_port(port), syn, seq(0), ack(1));
    }
    usize held = net.stack->tcp().table().count();
    net.in(syn, seq(0), mss(1024), window_scale(5), sack_permitted, timestamps(9, 0));
    net.expect_out(syn, seq(0), ack(1), mss(1460), window_scale(7), sack_permitted);
    EXPECT_EQ(net.stack->tcp().table().count(), held) << "a SYN took memory under pressure";
    EXPECT_EQ(net.stack->statistics().tcp_syn_cookies_sent.value(), 1u);

    net.in(peer_port(2000), seq(1), ack(12345)); // made up
    net.expect_out(peer_port(2000), rst, seq(12345));
    EXPECT_EQ(net.stack->statistics().tcp_syn_cookies_failed.value(), 1u);

    net.in(seq(1), ack(1), timestamps(10, 0), window(100)); // the echoed timestamp holds scale and SACK
    auto socket = net.take_accepted(*listener);
    ASSERT_TRUE(socket);
    EXPECT_EQ(net.stack->statistics().tcp_syn_cookies_received.value(), 1u);
    EXPECT_EQ(net.info_of(*socket).snd_mss, 1012u); // 1024 - 12
    net.count_out();
    ASSERT_TRUE(send(*socket, std::string(8000, 'x')));
    EXPECT_EQ(net.bytes_out(), 3u * 1012); // of the 100 << 5 that the peer takes
}

TEST(TcpChallengeAck, AnswersAResetThatIsNotExact)
{
    TraceNetwork net;
    auto socket = net.connect();
    net.in(rst, seq(100)); // in the window: RFC 5961, 3.2
    net.expect_out(seq(1), ack(1), length(0));
    net.in(rst, seq(200)); // and no more often than twice a second
    net.expect_silence();
    net.advance_milliseconds(510);
    net.in(rst, seq(200));
    net.expect_out(seq(1), ack(1), length(0));
    net.in(rst, seq(1'000'000'000)); // out of the window
    net.expect_silence();
    net.in(rst, seq(1));
    net.expect_silence();
    EXPECT_EQ(error_of(*socket), number(Errno::ECONNRESET));
}

TEST(TcpChallengeAck, AnswersASynInTheWindow)
{
    TraceNetwork net;
    auto socket = net.connect();
    net.in(syn, seq(10)); // RFC 5961, 4.2
    net.expect_out(seq(1), ack(1), length(0));
    ASSERT_TRUE(send(*socket, "alive"));
    net.expect_out(seq(1), ack(1), data("alive"));
}

TEST(TcpChallengeAck, AnswersAnAckOfWhatWasNeverSent)
{
    TraceNetwork net;
    auto socket = net.connect();
    net.in(seq(1), ack(5000), data("x")); // RFC 5961, 5.2
    net.expect_out(seq(1), ack(1), length(0));
    EXPECT_EQ(receive_text(*socket), "");
}

TEST(TcpClose, ClosesFirstAndWaits)
{
    TraceNetwork net;
    auto socket = net.connect();
    socket->close();
    net.expect_out(fin, seq(1), ack(1));
    net.in(seq(1), ack(2));
    net.in(fin, seq(1), ack(2));
    net.expect_out(seq(2), ack(2), length(0));
    EXPECT_EQ(net.stack->tcp().time_wait_count(), 1u);
    net.in(fin, seq(1), ack(2)); // our ACK was lost
    net.expect_out(seq(2), ack(2), length(0));
    net.in(rst, seq(2)); // RFC 1337
    net.advance_seconds(59);
    EXPECT_EQ(net.stack->tcp().time_wait_count(), 1u);
    net.advance_seconds(2);
    EXPECT_EQ(net.stack->tcp().time_wait_count(), 0u);
    EXPECT_EQ(net.stack->tcp().table().count(), 0u);
}

TEST(TcpClose, ClosesSecond)
{
    TraceNetwork net;
    auto socket = net.connect();
    net.in(fin, seq(1), ack(1), data("bye"));
    net.expect_out(seq(1), ack(5), length(0));
    EXPECT_EQ(receive_text(*socket), "bye");
    std::array<u8, 1> byte;
    EXPECT_EQ(receive(*socket, byte).release_value(), 0u);
    socket->close();
    net.expect_out(fin, seq(1), ack(5));
    net.in(seq(5), ack(2));
    net.expect_silence();
    EXPECT_EQ(net.stack->tcp().table().count(), 0u);
}

TEST(TcpClose, ClosesSimultaneously)
{
    TraceNetwork net;
    auto socket = net.connect();
    socket->close();
    net.expect_out(fin, seq(1), ack(1));
    net.in(fin, seq(1), ack(1)); // sent before ours arrived
    net.expect_out(seq(2), ack(2), length(0));
    net.in(seq(2), ack(2));
    EXPECT_EQ(net.stack->tcp().time_wait_count(), 1u);
    net.expect_silence();
}

TEST(TcpClose, SendsTheFinAgain)
{
    TraceNetwork net;
    auto socket = net.connect({ .round_trip_milliseconds = 50 });
    EXPECT_TRUE(socket->shutdown(abi::k_shut_wr));
    net.expect_out(fin, seq(1), ack(1));
    net.advance_seconds(1);
    net.expect_out(fin, seq(1), ack(1));
}

TEST(TcpClose, StillReceivesAfterShutdown)
{
    TraceNetwork net;
    auto socket = net.connect();
    EXPECT_TRUE(socket->shutdown(abi::k_shut_wr));
    net.expect_out(fin, seq(1), ack(1));
    net.in(seq(1), ack(2), data("late"));
    net.expect_out(seq(2), ack(5));
    EXPECT_EQ(receive_text(*socket), "late");
}

TEST(TcpClose, ResetsWhenDataWasNotRead)
{
    TraceNetwork net;
    auto socket = net.connect();
    net.in(seq(1), ack(1), data("unread"));
    net.expect_out(ack(7));
    socket->close(); // RFC 2525, 2.17
    net.expect_out(rst, seq(1), length(0));
    EXPECT_EQ(net.stack->tcp().table().count(), 0u);
}

TEST(TcpClose, ResetsWithLingerOfZero)
{
    TraceNetwork net;
    auto socket = net.connect();
    struct {
        int on { 1 };
        int seconds { 0 };
    } linger;
    EXPECT_TRUE(socket->set_option(abi::k_sol_socket, abi::k_so_linger, net::bytes_of(linger)));
    socket->close();
    net.expect_out(rst, seq(1), length(0));
    EXPECT_EQ(net.stack->tcp().table().count(), 0u);
}

TEST(TcpTimeWait, GivesWayToANewSyn)
{
    TraceNetwork net;
    auto listener = net.listen();
    auto socket = net.accept(*listener);
    ASSERT_TRUE(socket);
    socket->close();
    net.expect_out(fin, seq(1), ack(1));
    net.in(fin, seq(1), ack(2));
    net.expect_out(seq(2), ack(2));
    EXPECT_EQ(net.stack->tcp().time_wait_count(), 1u);
    net.in(syn, seq(0), mss(1000)); // an old duplicate: told where we are
    net.expect_out(seq(2), ack(2), length(0));
    net.in(syn, seq(500'000), mss(1000)); // RFC 9293, 3.6.1: beyond what was
    net.expect_out(syn, seq(0), ack(500'001));
    EXPECT_EQ(net.stack->tcp().time_wait_count(), 0u);
    net.in(seq(500'001), ack(1));
    EXPECT_TRUE(net.take_accepted(*listener));
}

} // namespace eremite::net::test
