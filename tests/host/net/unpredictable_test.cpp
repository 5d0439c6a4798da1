// What somebody who doesn't see the packets can't guess: initial sequence numbers (RFC 6528) and ports (RFC 6056).
#include <gtest/gtest.h>

#include "net/headers.h"
#include "net/support/wire.h"

#include <set>

namespace eremite::net::test {

namespace {

struct Opening {
    u16 port;
    u32 sequence;
};

/// The SYNs of connections from one stack to ports 1000 onwards of another, all at one instant.
std::vector<Opening> openings(u64 seed, u16 count)
{
    TwoStacks net({ .seed = seed });
    std::map<u16, Opening> seen;
    net.filter = [&](usize from, Frame& frame) {
        constexpr usize ip = 14;
        constexpr usize tcp = ip + 20;
        if (from != 0 || frame.size() < tcp + 20 || frame[12] != 8 || frame[13] != 0 || frame[ip + 9] != 6)
            return true;
        auto number = [&](usize at) { return static_cast<u16>(frame[at] << 8 | frame[at + 1]); };
        if ((frame[tcp + 13] & TcpHeader::k_syn) != 0)
            seen.emplace(
                number(tcp + 2), Opening { number(tcp), static_cast<u32>(number(tcp + 4)) << 16 | number(tcp + 6) });
        return true;
    };
    // The neighbour is known before the others begin, so that these all begin at once.
    auto first = make_socket(net.stack(0), abi::k_sock_stream);
    EXPECT_EQ(first->connect(address_of("10.0.0.2", 999), true).error(), Errno::EINPROGRESS);
    net.run_for(Nanoseconds::from_milliseconds(10));
    seen.clear();
    std::vector<SocketRef> sockets;
    for (u16 i = 0; i < count; ++i) {
        sockets.push_back(make_socket(net.stack(0), abi::k_sock_stream));
        EXPECT_EQ(sockets.back()->connect(address_of("10.0.0.2", static_cast<u16>(1000 + i)), true).error(),
            Errno::EINPROGRESS);
    }
    net.run_for(Nanoseconds::from_milliseconds(10));
    EXPECT_EQ(seen.size(), count);
    std::vector<Opening> result;
    for (const auto& [port, opening] : seen)
        result.push_back(opening);
    return result;
}

/// Whether numbers of `bits` bits look as if drawn: they differ, no step from one to the next comes twice, and each
/// quarter of the range has its share.
template<typename T> void expect_drawn(const std::vector<T>& numbers, unsigned bits)
{
    std::set<T> values;
    std::set<T> steps;
    std::array<usize, 4> quarters {};
    for (usize i = 0; i < numbers.size(); ++i) {
        values.insert(numbers[i]);
        if (i > 0)
            steps.insert(static_cast<T>(numbers[i] - numbers[i - 1]));
        ++quarters[numbers[i] >> (bits - 2) & 3];
    }
    EXPECT_EQ(values.size(), numbers.size());
    EXPECT_EQ(steps.size(), numbers.size() - 1);
    for (usize count : quarters)
        EXPECT_GT(count, numbers.size() / 8); // of 256: 32 where 64 are expected, 4.6 standard deviations off
}

} // namespace

TEST(Unpredictable, SequenceNumbersOfConnectionsAtOneInstant)
{
    std::vector<u32> numbers;
    for (const Opening& opening : openings(1, 256))
        numbers.push_back(opening.sequence);
    expect_drawn(numbers, 32);
}

TEST(Unpredictable, AnotherBootHasOtherNumbers)
{
    auto one = openings(1, 64);
    auto other = openings(2, 64);
    std::vector<u32> distances;
    usize same_ports = 0;
    ASSERT_EQ(one.size(), other.size());
    for (usize i = 0; i < one.size(); ++i) {
        EXPECT_NE(one[i].sequence, other[i].sequence);
        distances.push_back(one[i].sequence - other[i].sequence);
        same_ports += one[i].port == other[i].port ? 1 : 0;
    }
    // Nor does one boot's tell the other's.
    EXPECT_EQ(std::set<u32>(distances.begin(), distances.end()).size(), distances.size());
    EXPECT_LT(same_ports, 3u);
}

TEST(Unpredictable, PortsToOneDestinationSayNothingOfAnother)
{
    // Each destination has a beginning of its own, by a keyed hash.
    std::vector<u16> ports;
    for (const Opening& opening : openings(3, 64)) {
        EXPECT_GE(opening.port, 32768);
        EXPECT_LE(opening.port, 60999);
        ports.push_back(opening.port);
    }
    std::set<u16> steps;
    for (usize i = 1; i < ports.size(); ++i)
        steps.insert(static_cast<u16>(ports[i] - ports[i - 1]));
    EXPECT_GT(steps.size(), 60u);
}

TEST(Unpredictable, PortsOfDatagramSockets)
{
    // What a resolver's answer must match, beside the 16 bits of its question.
    TwoStacks net;
    std::vector<SocketRef> sockets;
    std::set<u16> ports;
    std::set<u16> steps;
    u16 before = 0;
    for (int i = 0; i < 64; ++i) {
        sockets.push_back(make_socket(net.stack(0), abi::k_sock_dgram));
        ASSERT_TRUE(sockets.back()->bind(address_of("0.0.0.0", 0)));
        SocketAddress local;
        ASSERT_TRUE(sockets.back()->local_address(local));
        const u16 port = local.endpoint.port;
        ports.insert(port);
        steps.insert(static_cast<u16>(port - before));
        before = port;
    }
    EXPECT_EQ(ports.size(), 64u);
    EXPECT_GT(steps.size(), 60u);
}

} // namespace eremite::net::test
