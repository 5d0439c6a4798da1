// How FUSE messages get to a daemon and back; what they say is the file system's business.
#pragma once

#include "base/owned.h"
#include "base/result.h"
#include "base/types.h"
#include "device/request_memory.h"
#include <span>
#include <string_view>

namespace eremite {

/// One mount point of the host's.
class FuseTransport {
public:
    virtual ~FuseTransport() = default;

    /// What `mount -t virtiofs` names.
    std::string_view tag() const { return m_tag; }
    /// Longest single request or reply, in bytes, that exchange() takes, over all parts.
    usize max_transfer() const { return m_max_transfer; }

    /// Sends a request, given in parts, and sleeps until the daemon has answered into `replies`, part after part.
    /// Returns the number of bytes answered; the caller checks that against what the reply's header says. The parts lie
    /// in the kernel heap or in frames of the direct map, at most k_max_parts in all. May be called from several
    /// threads. EIO: the daemon is gone, or broke the rules of the transport. ETIMEDOUT: no answer came by `deadline`,
    /// and the transport has taken `memory`, whose the parts are.
    virtual Result<usize> exchange(std::span<const std::span<const u8>> requests,
        std::span<const std::span<u8>> replies, OwnPtr<RequestMemory>& memory, Nanoseconds deadline)
        = 0;
    /// A message that has no reply (FORGET). Does not wait for the daemon, unless there is no room: then until
    /// `deadline`. `request` is copied. ETIMEDOUT.
    virtual Result<> send(std::span<const u8> request, Nanoseconds deadline) = 0;

    static constexpr usize k_max_parts = 36;

protected:
    std::string_view m_tag;
    usize m_max_transfer { 0 };

private:
    friend void register_fuse_transport(FuseTransport&);
    friend FuseTransport* find_fuse_transport(std::string_view);
    FuseTransport* m_next { nullptr };
};

/// Makes the transport known, at Stage::Device. It lives for ever.
void register_fuse_transport(FuseTransport& transport);
/// Null if there is none with that tag.
FuseTransport* find_fuse_transport(std::string_view tag);

} // namespace eremite
