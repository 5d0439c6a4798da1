#include "device/fuse_transport.h"

#include "base/component.h"

namespace eremite {

namespace {

constinit FuseTransport* s_first = nullptr;

} // namespace

void register_fuse_transport(FuseTransport& transport)
{
    transport.m_next = s_first;
    s_first = &transport;
}

FuseTransport* find_fuse_transport(std::string_view tag)
{
    ER_NEEDS(virtio_fs);
    FuseTransport* transport = s_first;
    while (transport && transport->tag() != tag)
        transport = transport->m_next;
    return transport;
}

} // namespace eremite
