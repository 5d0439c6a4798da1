// What a device does for us where it can, in software where it can't: cutting super-segments, completing checksums.
#pragma once

#include "device/packet.h"

namespace eremite::net {

/// Stores the checksum that offload().needs_checksum asks for. `packet` begins with its Ethernet header.
/// False if the metadata points outside the packet or memory is short.
bool complete_checksum(Packet& packet);

/// Cuts a super-segment (segmentation set, Ethernet header first) into frames of at most segment_size payload bytes,
/// each with its own headers; they ask for a checksum as the original did. ENOMEM, EINVAL (nonsensical metadata).
Result<PacketList> segment(Packet& packet);

} // namespace eremite::net
