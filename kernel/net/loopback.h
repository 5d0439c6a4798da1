// The loopback device: what is transmitted is received. It holds the packets until the stack polls, so that no socket's
// lock is held when they arrive.
#pragma once

#include "device/net_device.h"
#include "sync/spin_lock.h"

namespace eremite::net {

class LoopbackDevice final : public NetDevice {
public:
    static constexpr usize k_queue_limit = 1024;

    LoopbackDevice();
    bool transmit(Packet& packet) override;
    void flush() override { }
    bool is_transmit_idle() override { return true; }
    void notify_when_transmitted() override { notify_client(); }
    usize receive(PacketList& list, usize budget) override;
    bool enable_receive_interrupts() override { return has_packets(); }
    void disable_receive_interrupts() override { }
    bool has_packets() const { return m_waiting.load(std::memory_order_acquire); }

private:
    SpinLock m_lock;
    PacketList m_queue GUARDED_BY(m_lock);
    std::atomic<bool> m_waiting { false };
};

} // namespace eremite::net
