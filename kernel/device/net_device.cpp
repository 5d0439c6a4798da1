#include "device/net_device.h"

namespace eremite {

namespace {

constinit std::array<NetDevice*, 8> s_devices {};
constinit usize s_device_count { 0 };

} // namespace

NetDevice::~NetDevice() = default;

void register_net_device(NetDevice& device)
{
    std::span devices(s_devices);
    if (s_device_count < devices.size())
        devices[s_device_count++] = &device;
}

void for_each_net_device(void (*visit)(NetDevice&, void*), void* context)
{
    for (NetDevice* device : std::span(s_devices).first(s_device_count))
        visit(*device, context);
}

} // namespace eremite
