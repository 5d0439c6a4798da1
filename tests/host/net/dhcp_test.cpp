// gtest first: the kernel takes the macros of errno.h away.
#include <gtest/gtest.h>

#include "net/dhcp.h"
#include "net/headers.h"
#include "net/support/wire.h"

namespace eremite::net::test {
namespace {

constexpr usize k_ip = sizeof(EthernetHeader);
constexpr usize k_udp = k_ip + 20;
constexpr usize k_message = k_udp + 8;

/// A server with one address to give: 10.9.0.5/24, gateway 10.9.0.1, for an hour.
class Server {
public:
    explicit Server(WireDevice& device)
        : m_device(device)
    {
        device.on_transmit = [this](Packet packet) { take(bytes_of_packet(packet)); };
    }

    u32 discovers { 0 };
    u32 requests { 0 };
    bool is_deaf { false };

private:
    void take(Frame frame)
    {
        bool is_dhcp = frame.size() >= k_message + 243 && frame[12] == 8 && frame[13] == 0 && frame[k_ip + 9] == 17
            && frame[k_udp + 3] == 67;
        if (!is_dhcp)
            return;
        u8 type = frame[k_message + 242];
        ++(type == 1 ? discovers : requests);
        if (is_deaf)
            return;
        Frame reply(k_message + 240);
        std::ranges::fill(std::span(reply).first(6), u8 { 0xff });
        std::ranges::copy(Frame { 2, 0, 0, 0, 0, 9 }, reply.begin() + 6);
        reply[12] = 8;
        Frame message(240);
        message[0] = 2;
        std::copy_n(frame.begin() + k_message + 1, 43, message.begin() + 1);
        std::ranges::copy(Frame { 10, 9, 0, 5, 10, 9, 0, 1 }, message.begin() + 16);
        std::ranges::copy(Frame { 0x63, 0x82, 0x53, 0x63 }, message.begin() + 236);
        std::ranges::copy(Frame { 53, 1, static_cast<u8>(type == 1 ? 2 : 5), 1, 4, 255, 255, 255, 0, 3, 4, 10, 9, 0, 1,
                              54, 4, 10, 9, 0, 1, 51, 4, 0, 0, 14, 16, 255 },
            std::back_inserter(message));
        std::ranges::copy(ip_and_udp(message.size()), reply.begin() + k_ip);
        reply.resize(k_message);
        reply.insert(reply.end(), message.begin(), message.end());
        m_device.deliver(packet_of(reply));
    }

    static Frame ip_and_udp(usize payload)
    {
        usize udp = payload + 8;
        usize total = udp + 20;
        Frame header { 0x45, 0, static_cast<u8>(total >> 8), static_cast<u8>(total), 0, 0, 0, 0, 64, 17, 0, 0, 10, 9, 0,
            1, 255, 255, 255, 255, 0, 67, 0, 68, static_cast<u8>(udp >> 8), static_cast<u8>(udp), 0, 0 };
        u32 sum = 0;
        for (usize i = 0; i < 20; i += 2)
            sum += static_cast<u32>(header[i] << 8 | header[i + 1]);
        sum = ~((sum & 0xffff) + (sum >> 16));
        header[10] = static_cast<u8>(sum >> 8);
        header[11] = static_cast<u8>(sum);
        return header;
    }

    WireDevice& m_device;
};

class Dhcp : public testing::Test {
protected:
    void poll_for(Nanoseconds duration)
    {
        Nanoseconds end = environment.time + duration;
        while (true) {
            while (stack->poll()) { }
            stack->finish();
            if (stack->next_deadline() > end)
                break;
            environment.time = std::max(environment.time, stack->next_deadline());
        }
        environment.time = end;
    }

    TestEnvironment environment;
    WireDevice device { { 2, 0, 0, 0, 0, 1 } };
    Server server { device };
    OwnPtr<Stack> stack { Stack::create(environment).release_value() };
    Interface* interface { stack->add_device(device).release_value() };
};

TEST_F(Dhcp, AnswersThatComeAtOnceAreTakenAtOnce)
{
    // The answer lies in the device before sending returns.
    auto client = DhcpClient::create(*stack, *interface).release_value();
    client->start();
    poll_for(Nanoseconds::from_milliseconds(10));
    EXPECT_TRUE(client->is_bound());
    EXPECT_TRUE(interface->owns(IpAddress::v4(10, 9, 0, 5)));
    EXPECT_EQ(server.discovers, 1u);
    EXPECT_EQ(server.requests, 1u);
}

TEST_F(Dhcp, AsksAgainUntilSomebodyAnswers)
{
    server.is_deaf = true;
    auto client = DhcpClient::create(*stack, *interface).release_value();
    client->start();
    poll_for(Nanoseconds::from_seconds(8));
    EXPECT_FALSE(client->is_bound());
    EXPECT_GE(server.discovers, 3u);
    server.is_deaf = false;
    poll_for(Nanoseconds::from_seconds(20));
    EXPECT_TRUE(client->is_bound());
}

TEST_F(Dhcp, RenewsBeforeTheLeaseEnds)
{
    auto client = DhcpClient::create(*stack, *interface).release_value();
    client->start();
    poll_for(Nanoseconds::from_seconds(1790));
    EXPECT_EQ(server.requests, 1u);
    // Nobody answers for the server's own address, so that the renewal at half the time isn't heard; at seven eighths
    // everybody is asked.
    poll_for(Nanoseconds::from_seconds(1400));
    EXPECT_EQ(server.requests, 2u);
    EXPECT_TRUE(client->is_bound());
}

TEST(StackPoll, WhatAPollingThreadMissedIsHandedOn)
{
    // One thread is at the end of its poll when the clock passes a deadline; another comes to see to it, finds the
    // first at work, and goes to sleep.
    TestEnvironment environment;
    WireDevice device { { 2, 0, 0, 0, 0, 1 } };
    auto stack = Stack::create(environment).release_value();
    auto* interface = stack->add_device(device).release_value();
    auto client = DhcpClient::create(*stack, *interface).release_value();
    client->start();
    environment.time = stack->next_deadline();
    bool is_passed = false;
    device.on_flush = [&] {
        if (std::exchange(is_passed, true))
            return;
        environment.time = stack->next_deadline() + Nanoseconds(1);
        stack->poll(Stack::IfBusy::HandOver);
    };
    while (stack->poll()) { }
    EXPECT_EQ(environment.arrivals, 1u);
    environment.arrivals = 0;
    while (stack->poll(Stack::IfBusy::HandOver)) { }
    EXPECT_EQ(environment.arrivals, 0u);
}

TEST(StackPoll, InterruptsAreOnWhenTheLastOneGoesToSleep)
{
    // One thread begins to poll, and switches them off; in the midst of it another goes to sleep, and wants them on.
    // Once the first sleeps too, they are.
    TestEnvironment environment;
    WireDevice device { { 2, 0, 0, 0, 0, 1 } };
    auto stack = Stack::create(environment).release_value();
    ASSERT_TRUE(stack->add_device(device));
    ASSERT_FALSE(stack->enable_interrupts());
    ASSERT_TRUE(device.interrupts_on);
    device.on_disable = [&] { stack->enable_interrupts(); };
    stack->disable_interrupts();
    ASSERT_FALSE(device.interrupts_on);
    ASSERT_FALSE(stack->enable_interrupts());
    EXPECT_TRUE(device.interrupts_on);
}

TEST(StackPoll, ADeadlineThatMovedIsNotForgotten)
{
    struct Idle final : WheelTimer {
        bool retain() override { return true; }
        void expire(Nanoseconds) override { }
    } timer;
    TestEnvironment environment;
    auto stack = Stack::create(environment).release_value();
    Nanoseconds start = environment.time;
    EXPECT_EQ(stack->deadline_passed(), Nanoseconds::max());
    stack->arm(timer, start + Nanoseconds::from_milliseconds(10));
    Nanoseconds early = stack->next_deadline();
    stack->arm(timer, start + Nanoseconds::from_milliseconds(40));
    environment.time = early;
    EXPECT_EQ(stack->deadline_passed(), stack->next_deadline());
    EXPECT_GT(stack->next_deadline(), early);
    EXPECT_EQ(environment.arrivals, 0u);

    environment.time = stack->next_deadline();
    Nanoseconds again = stack->deadline_passed();
    EXPECT_EQ(environment.arrivals, 1u);
    EXPECT_GT(again, environment.time);
    EXPECT_LE(again, environment.time + Nanoseconds::from_milliseconds(2));
    while (stack->poll(Stack::IfBusy::HandOver)) { }
    EXPECT_EQ(stack->deadline_passed(), Nanoseconds::max());
}

} // namespace
} // namespace eremite::net::test
