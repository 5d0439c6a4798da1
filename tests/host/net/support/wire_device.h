// A device whose frames the test carries, a clock that stands still, and files of what passed.
#pragma once

#include "device/net_device.h"
#include "net/stack.h"

#include <cstdio>
#include <functional>
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
    bool enable_receive_interrupts() override
    {
        interrupts_on = m_inbox.is_empty();
        return !interrupts_on;
    }
    void disable_receive_interrupts() override
    {
        if (on_disable)
            on_disable();
        interrupts_on = false;
    }

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
    std::function<void()> on_disable;
    bool interrupts_on { false };
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

} // namespace eremite::net::test
