// The stack under whatever a wire may bring: frames of every layer, as they come or with their sums (and a connection's
// sequence numbers) made right, so that what lies behind those checks is reached; time that passes, and an application
// that reads, writes and closes meanwhile. Nothing crashes, everything sent is well-formed, and no packet is leaked.
#include <gtest/gtest.h>

#include "net/support/trace.h"

namespace eremite::net::test {

namespace {

enum class Step : u8 { Frame, FrameWithSums, FrameOfConnection, Time, Read, Write, Close, Connect };

u16 sum_of(std::span<const u8> bytes, u32 sum = 0)
{
    for (size_t i = 0; i < bytes.size(); ++i)
        sum += i % 2 == 0 ? u32 { bytes[i] } << 8 : bytes[i];
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<u16>(sum);
}

/// Stores the sum of `bytes` (and of a pseudo-header) at `offset`.
void seal(std::span<u8> bytes, size_t offset, u32 pseudo)
{
    if (bytes.size() < offset + 2)
        return;
    bytes[offset] = bytes[offset + 1] = 0;
    const u16 sum = static_cast<u16>(~sum_of(bytes, pseudo));
    bytes[offset] = static_cast<u8>(sum >> 8);
    bytes[offset + 1] = static_cast<u8>(sum);
}

/// The transport's part of the frame and its protocol; empty if there is none.
std::pair<u8, std::span<u8>> transport_of(std::span<u8> frame)
{
    if (frame.size() < 14)
        return {};
    auto packet = frame.subspan(14);
    if (frame[12] == 0x08 && frame[13] == 0 && packet.size() >= 20) {
        const size_t header = std::max<size_t>((packet[0] & 15u) * 4u, 20);
        const size_t total = std::min<size_t>(packet.size(), packet[2] << 8 | packet[3]);
        if (header <= total)
            return { packet[9], packet.subspan(header, total - header) };
    } else if (frame[12] == 0x86 && frame[13] == 0xdd && packet.size() >= 40) {
        const size_t length = std::min<size_t>(packet.size() - 40, packet[4] << 8 | packet[5]);
        return { packet[6], packet.subspan(40, length) };
    }
    return {};
}

void make_sums_right(std::span<u8> frame)
{
    auto [protocol, transport] = transport_of(frame);
    if (transport.empty())
        return;
    const bool v4 = frame[12] == 0x08;
    auto packet = frame.subspan(14);
    if (v4)
        seal(packet.first((packet[0] & 15u) < 5 ? 20 : (packet[0] & 15u) * 4u), 10, 0);
    const u32 pseudo
        = sum_of(v4 ? packet.subspan(12, 8) : packet.subspan(8, 32)) + protocol + static_cast<u32>(transport.size());
    switch (protocol) {
    case 1:
        return seal(transport, 2, 0);
    case 2:
        return seal(transport, 2, 0);
    case 6:
        return seal(transport, 16, pseudo);
    case 17:
        return seal(transport, 6, pseudo);
    case 58:
        return seal(transport, 2, pseudo);
    default:
        return;
    }
}

void run(std::span<const u8> input)
{
    TraceNetwork net;
    (void)net.interface->add_address({ .address = IpAddress::v6(0xfd00'0000'0000'0000, 1), .prefix = 64 });
    auto connection = net.connect();
    auto listener = make_socket(*net.stack, abi::k_sock_stream, abi::k_af_inet6);
    (void)listener->bind(address_of("::", 7));
    (void)listener->listen(4);
    auto datagrams = make_socket(*net.stack, abi::k_sock_dgram, abi::k_af_inet6);
    (void)datagrams->bind(address_of("::", 9));
    std::vector<SocketRef> accepted;
    size_t at = 0;
    auto next = [&]() -> u8 { return at < input.size() ? input[at++] : 0; };
    while (at < input.size()) {
        const auto step = static_cast<Step>(next() % 8);
        switch (step) {
        case Step::Frame:
        case Step::FrameWithSums:
        case Step::FrameOfConnection: {
            const size_t length = std::min<size_t>(size_t { next() } << 8 | next(), input.size() - at);
            Frame frame(
                input.begin() + static_cast<ptrdiff_t>(at), input.begin() + static_cast<ptrdiff_t>(at + length));
            at += length;
            if (step == Step::FrameOfConnection)
                net.rebase(transport_of(frame).second);
            if (step != Step::Frame)
                make_sums_right(frame);
            net.device.deliver(packet_of(frame, length % 5 == 1 ? 100 : 0));
            net.settle();
            break;
        }
        case Step::Time:
            net.advance_milliseconds(i64 { next() } * next());
            break;
        case Step::Read: {
            (void)receive_text(*connection, 1 + next() * 32u);
            std::array<u8, 2000> bytes;
            SocketAddress from;
            (void)receive(*datagrams, bytes, abi::k_msg_dontwait, &from);
            for (auto& socket : accepted)
                (void)receive_text(*socket);
            break;
        }
        case Step::Write: {
            const std::string text(next() * 64u, 'w');
            (void)send(*connection, text, abi::k_msg_dontwait | abi::k_msg_nosignal);
            for (auto& socket : accepted)
                (void)send(*socket, text, abi::k_msg_dontwait | abi::k_msg_nosignal);
            break;
        }
        case Step::Close:
            if ((next() & 1) != 0)
                (void)connection->shutdown(abi::k_shut_wr);
            else if (!accepted.empty())
                accepted.pop_back();
            break;
        case Step::Connect: {
            SocketAddress from;
            if (auto socket = listener->accept(true, &from); socket.has_value())
                accepted.push_back(socket.release_value());
            break;
        }
        }
        net.forget_out();
    }
    for (auto& socket : accepted)
        socket->close();
    connection->close();
    listener->close();
    datagrams->close();
    net.advance_milliseconds(100);
}

} // namespace

} // namespace eremite::net::test

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, size_t size)
{
    using namespace eremite;
    const auto before = packet_statistics();
    net::test::run({ data, size });
    const auto after = packet_statistics();
    if (before.packets != after.packets || before.buffers != after.buffers)
        __builtin_trap();
    if (testing::UnitTest::GetInstance()->ad_hoc_test_result().Failed())
        __builtin_trap();
    return 0;
}
