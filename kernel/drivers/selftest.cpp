#include "base/component.h"
#include "base/log.h"
#include "device/net_device.h"
#include "sched/clock.h"
#include <algorithm>
using namespace eremite;
namespace {
struct C final : NetDeviceClient { std::atomic<u32> n{0}; void device_ready(NetDevice&) override { n.fetch_add(1);} };
constinit C client;
Result<> run(){
  ER_NEEDS(virtio_net);
  set_log_level(LogLevel::Debug);
  for_each_net_device([](NetDevice& d, void*){
    MacBytes m=d.mac();
    log_info("dev {} mac {:x}:{:x}:{:x}:{:x}:{:x}:{:x} mtu {} link {} csum {} tso4 {} tso6 {} uso {}", d.name(), m[0],m[1],m[2],m[3],m[4],m[5], d.mtu(), d.is_link_up(), d.features().checksum,d.features().tso4,d.features().tso6,d.features().uso);
    d.set_client(&client);
    log_info("irq on: pending {}", d.enable_receive_interrupts());
    for(int k=0;k<300;k++){
    auto p = Packet::create(128, 42).release_value();
    u8 arp[42]={255,255,255,255,255,255,m[0],m[1],m[2],m[3],m[4],m[5],8,6,0,1,8,0,6,4,0,1,m[0],m[1],m[2],m[3],m[4],m[5],10,0,2,15,0,0,0,0,0,0,10,0,2,2};
    std::ranges::copy(arp,p.head().begin());
    if(!d.transmit(p)) log_info("full at {}",k);
    d.flush();
    if(k==0){d.notify_when_transmitted();}
    PacketList l; Nanoseconds end=monotonic_now()+Nanoseconds::from_milliseconds(200);
    while(l.is_empty()&&monotonic_now()<end) d.receive(l,64);
    if(k<2||k==299) log_info("{}: got {} packets first len {} client {} idle {}", k, l.count(), l.is_empty()?0:l.pop_front().length(), client.n.load(), d.is_transmit_idle());
    }
    log_info("setmac {}", d.set_mac(d.mac()).is_error());
    log_info("rx {} tx {}", d.statistics().received_packets.load(), d.statistics().transmitted_packets.load());
  }, nullptr);
  return {};
}
}
ER_COMPONENT(selftest, Stage::Late, run);
