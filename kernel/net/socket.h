// Sockets, as the system calls see them: one base class, and what a call brings along and takes home.
//
// A socket is shared by the descriptors that refer to it and by the stack while it is connected; close() ends its life
// as far as the application goes. Methods may be called by several threads at once. Blocking happens in
// Environment::wait(), so that tests may let virtual time pass there.
#pragma once

#include "abi/fs.h"
#include "abi/socket.h"
#include "base/owned.h"
#include "net/io_cursor.h"
#include "net/ip_address.h"
#include "sched/wait_queue.h"

namespace eremite::net {

class Stack;

/// Any socket address. For AF_UNIX, `path` holds `path_length` bytes as in sun_path (abstract names begin with NUL).
struct SocketAddress {
    u16 family { abi::k_af_unspec };
    u8 path_length { 0 };
    Endpoint endpoint {};
    std::array<char, 108> path;

    std::string_view path_view() const { return { path.data(), path_length }; }
    static SocketAddress of(const Endpoint& endpoint, int family)
    {
        SocketAddress address;
        address.family = static_cast<u16>(family);
        address.endpoint = endpoint;
        return address;
    }
};

/// Something attached to a message besides data: descriptors (SCM_RIGHTS) and credentials, of AF_UNIX sockets.
/// The net does not know files: they travel as opaque references.
class Attachment : public RefCounted<Attachment> {
public:
    virtual ~Attachment() = default;
};

struct SendRequest {
    IoCursor data;
    /// MSG_*.
    u32 flags { 0 };
    bool nonblocking { false };
    const SocketAddress* destination { nullptr };
    /// From IP_PKTINFO, IP_TTL and IP_TOS control messages.
    IpAddress source {};
    u32 interface { 0 };
    int hop_limit { -1 };
    int traffic_class { -1 };
    u16 segment_size { 0 };
    RefPtr<Attachment> attachment {};
};

struct ReceiveRequest {
    IoCursor data;
    u32 flags { 0 };
    bool nonblocking { false };
    /// Filled in where given.
    SocketAddress* source { nullptr };
    /// Out: MSG_TRUNC, MSG_EOR, ...
    u32 result_flags { 0 };
    /// Out, of datagrams: for control messages.
    bool has_packet_info { false };
    IpAddress destination {};
    u32 interface { 0 };
    u8 hop_limit { 0 };
    u8 traffic_class { 0 };
    Nanoseconds arrival {};
    RefPtr<Attachment> attachment {};
};

/// Which control messages recvmsg gives.
struct ReceiveOptions {
    bool packet_info { false };
    bool packet_info6 { false };
    bool hop_limit { false };
    bool hop_limit6 { false };
    bool traffic_class { false };
    bool traffic_class6 { false };
    bool timestamp { false };
    bool timestamp_nanoseconds { false };
    bool credentials { false };
};

class Socket : public RefCounted<Socket> {
public:
    virtual ~Socket() = default;

    int domain() const { return m_domain; }
    int type() const { return m_type; }
    int protocol() const { return m_protocol; }

    virtual Result<> bind(const SocketAddress&) = 0;
    virtual Result<> listen(int) { return Errno::EOPNOTSUPP; }
    /// EAGAIN if none is there and `nonblocking`.
    virtual Result<RefPtr<Socket>> accept(bool, SocketAddress*) { return Errno::EOPNOTSUPP; }
    /// EINPROGRESS, EALREADY, EISCONN, ...
    virtual Result<> connect(const SocketAddress&, bool nonblocking) = 0;
    virtual Result<usize> send(SendRequest&) = 0;
    virtual Result<usize> receive(ReceiveRequest&) = 0;
    /// The same for one buffer, without address and attachments.
    virtual Result<usize> send_bytes(const IoBuffer& data, u32 flags, bool nonblocking);
    virtual Result<usize> receive_bytes(const IoBuffer& data, u32 flags, bool nonblocking);
    /// SHUT_*.
    virtual Result<> shutdown(int how) = 0;
    /// The last descriptor is gone. Idempotent.
    virtual void close() = 0;
    virtual Result<> local_address(SocketAddress&) = 0;
    virtual Result<> peer_address(SocketAddress&) = 0;
    /// The value as Linux's setsockopt takes it. ENOPROTOOPT, EINVAL.
    virtual Result<> set_option(int level, int name, std::span<const u8> value);
    /// Returns how many bytes of `value` were written.
    virtual Result<usize> get_option(int level, int name, std::span<u8> value);
    /// POLLIN | POLLOUT | ... right now.
    virtual u32 readiness() = 0;
    /// Woken when readiness() may have changed.
    WaitQueue& wait_queue() { return m_wait_queue; }
    /// FIONREAD and SIOCOUTQ.
    virtual Result<usize> bytes_to_read() { return Errno::EINVAL; }
    virtual Result<usize> bytes_to_send() { return Errno::EINVAL; }
    const ReceiveOptions& receive_options() const { return m_receive_options; }
    /// Null for AF_UNIX.
    Stack* stack() { return m_stack; }

protected:
    Socket(Stack* stack, int domain, int type, int protocol)
        : m_stack(stack)
        , m_domain(domain)
        , m_type(type)
        , m_protocol(protocol)
    {
    }

    Nanoseconds current_time() const;
    /// The point in time until which a blocking call may wait, from SO_RCVTIMEO or SO_SNDTIMEO.
    Nanoseconds receive_deadline() const;
    Nanoseconds send_deadline() const;
    /// Sets the error that SO_ERROR and the next call report.
    void set_error(Errno error) { m_error.store(static_cast<int>(error), std::memory_order_relaxed); }
    /// Takes the pending error, if any.
    Result<> take_error();
    bool has_error() const { return m_error.load(std::memory_order_relaxed) != 0; }
    /// The endpoint in the socket's own family: EAFNOSUPPORT, EINVAL. An AF_INET6 socket takes mapped addresses.
    Result<Endpoint> check_address(const SocketAddress& address) const;
    /// How the endpoint is shown to the application.
    void show(const Endpoint& endpoint, SocketAddress& address) const;
    /// A 32-bit option value; EINVAL if `value` is too short (one byte counts for byte options).
    static Result<int> integer(std::span<const u8> value);
    static usize store(std::span<u8> value, std::span<const u8> source);
    static usize store_integer(std::span<u8> value, int number);

    Stack* m_stack;
    int m_domain;
    int m_type;
    int m_protocol;
    WaitQueue m_wait_queue;
    std::atomic<int> m_error { 0 };

    // Options; read without a lock where a torn moment doesn't matter.
    bool m_reuse_address { false };
    bool m_reuse_port { false };
    bool m_broadcast { false };
    bool m_keepalive { false };
    bool m_v6_only { false };
    bool m_oob_inline { false };
    bool m_linger { false };
    i32 m_linger_seconds { 0 };
    i32 m_priority { 0 };
    i32 m_receive_low_water { 1 };
    Nanoseconds m_receive_timeout { Nanoseconds::max() };
    Nanoseconds m_send_timeout { Nanoseconds::max() };
    std::atomic<u32> m_receive_limit { 212992 };
    std::atomic<u32> m_send_limit { 212992 };
    bool m_receive_limit_fixed { false };
    bool m_send_limit_fixed { false };
    u32 m_bound_interface { 0 };
    u8 m_hop_limit { 64 };
    u8 m_multicast_hop_limit { 1 };
    bool m_multicast_loop { true };
    u32 m_multicast_interface { 0 };
    u8 m_traffic_class { 0 };
    bool m_dont_fragment { false };
    bool m_receive_errors { false };
    ReceiveOptions m_receive_options;

private:
    Result<> set_socket_option(int name, std::span<const u8> value);
    Result<> set_ip_option(int level, int name, std::span<const u8> value);
    Result<> set_membership(int level, int name, std::span<const u8> value);
    Result<usize> get_socket_option(int name, std::span<u8> value);
    Result<usize> get_ip_option(int level, int name, std::span<u8> value);

protected:
    /// Groups joined through this socket, left again by leave_all_groups().
    struct Membership {
        IpAddress group {};
        u32 interface { 0 };
    };
    void leave_all_groups();
    SpinLock m_membership_lock;
    Vector<Membership> m_memberships GUARDED_BY(m_membership_lock);
};

using SocketRef = RefPtr<Socket>;

/// A socket of AF_INET or AF_INET6 on `stack`. `type` without SOCK_NONBLOCK and the like.
/// EAFNOSUPPORT, EPROTONOSUPPORT, ESOCKTNOSUPPORT, ENOMEM.
Result<SocketRef> create_internet_socket(Stack& stack, int domain, int type, int protocol);

} // namespace eremite::net
