// What a round trip costs without any stack: frames are taken from the driver by polling, UDP datagrams go back to
// where they came from, and ARP is answered for every address. What lies below this is the machine's, the tap's and the
// client's; what a stack adds lies above.
#include "base/component.h"
#include "device/net_device.h"
#include "net/headers.h"

#include <cstdio>
#include <utility>

using namespace eremite;
using namespace eremite::net;

namespace {

class NoClient final : public NetDeviceClient {
public:
    void device_ready(NetDevice&) override { }
};

void send_back(NetDevice& device, EthernetHeader& ethernet)
{
    ethernet.destination = ethernet.source;
    ethernet.source = device.mac();
}

/// Turns a question for an address of ours into the answer. False: not a question.
bool answer_arp(NetDevice& device, std::span<u8> frame)
{
    auto* arp = header_at<ArpMessage>(frame, sizeof(EthernetHeader));
    if (!arp || arp->operation != ArpMessage::k_request || arp->sender_ip.raw() == arp->target_ip.raw())
        return false;
    send_back(device, *header_at<EthernetHeader>(frame));
    arp->operation = ArpMessage::k_reply;
    arp->target_mac = arp->sender_mac;
    arp->sender_mac = device.mac();
    std::swap(arp->sender_ip, arp->target_ip);
    return true;
}

/// Turns a UDP datagram round. The sums stay as they are: the same numbers in other places.
bool reflect(NetDevice& device, std::span<u8> frame, bool is_summed)
{
    constexpr usize k_udp = sizeof(EthernetHeader) + sizeof(Ipv4Header);
    auto* ip = header_at<Ipv4Header>(frame, sizeof(EthernetHeader));
    auto* udp = header_at<UdpHeader>(frame, k_udp);
    if (!udp || ip->version_and_length != 0x45 || ip->protocol != Protocol::Udp)
        return false;
    send_back(device, *header_at<EthernetHeader>(frame));
    std::swap(ip->source, ip->destination);
    std::swap(udp->source_port, udp->destination_port);
    if (is_summed)
        udp->checksum = 0; // the sender left it to us to sum; UDP may go without
    return true;
}

} // namespace

int main()
{
    ER_NEEDS(virtio_net);
    NetDevice* device = nullptr;
    for_each_net_device(
        [](NetDevice& found, void* first) {
            auto*& place = *static_cast<NetDevice**>(first);
            place = place ? place : &found;
        },
        &device);
    if (!device) {
        std::puts("floor: there is no network device");
        return 1;
    }
    static NoClient client;
    device->set_client(&client);
    device->disable_receive_interrupts();
    std::puts("floor: reflecting");
    std::fflush(stdout);
    while (true) {
        PacketList frames;
        if (device->receive(frames, 64) == 0)
            continue;
        while (!frames.is_empty()) {
            Packet frame = frames.pop_front();
            auto bytes = frame.head();
            auto* ethernet = header_at<EthernetHeader>(bytes);
            if (!ethernet)
                continue;
            bool answers = ethernet->type == k_ethertype_arp
                ? answer_arp(*device, bytes)
                : reflect(*device, bytes, frame.offload().checksum_verified);
            frame.offload() = {};
            if (answers)
                device->transmit(frame);
        }
        device->flush();
    }
}
