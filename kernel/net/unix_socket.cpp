#include "net/unix_socket.h"

#include "sched/wait_queue.h"
#include <algorithm>

namespace eremite::net {

namespace {

constexpr u32 k_readable = abi::k_pollin | abi::k_pollrdnorm;
constexpr u32 k_writable = abi::k_pollout | abi::k_pollwrnorm;
constexpr u32 k_stream_piece = 60000;

std::span<u8> part(Packet& packet, u32 index, usize limit)
{
    auto bytes = packet.fragment(index).bytes();
    return bytes.first(std::min(bytes.size(), limit));
}

} // namespace

/// Who is bound to which name.
class UnixNames {
public:
    /// EADDRINUSE for abstract names; a name in the file system is guarded by its file, and the latest counts.
    static Result<> add(UnixSocket& socket, std::string_view name)
    {
        Locked lock(s_lock);
        if (socket.m_named)
            return Errno::EINVAL;
        if (name.starts_with('\0') && find_locked(name))
            return Errno::EADDRINUSE;
        socket.m_name_length = static_cast<u8>(name.size());
        std::ranges::copy(name, socket.m_name.begin());
        socket.m_named = true;
        socket.m_next_named = s_first;
        s_first = &socket;
        return {};
    }
    /// Linux's autobind: five hexadecimal digits in the abstract name space.
    static Result<> add_automatically(UnixSocket& socket)
    {
        for (u32 tried = 0; tried < 0x100000; ++tried) {
            u32 number = s_next_automatic.fetch_add(1, std::memory_order_relaxed) & 0xfffff;
            std::array<char, 6> name {};
            for (usize i = 0; i < 5; ++i)
                name[5 - i] = std::string_view("0123456789abcdef")[number >> (4 * i) & 15];
            auto added = add(socket, { name.data(), name.size() });
            if (added.has_value() || added.error() != Errno::EADDRINUSE)
                return added;
        }
        return Errno::ENOSPC;
    }
    static void remove(UnixSocket& socket)
    {
        Locked lock(s_lock);
        if (!socket.m_named)
            return;
        UnixSocket** place = &s_first;
        while (*place != &socket)
            place = &(*place)->m_next_named;
        *place = socket.m_next_named;
        socket.m_named = false;
    }
    static RefPtr<UnixSocket> find(std::string_view name)
    {
        Locked lock(s_lock);
        UnixSocket* socket = find_locked(name);
        if (!socket || !socket->try_ref())
            return {};
        return RefPtr<UnixSocket>::adopt(socket);
    }

private:
    static UnixSocket* find_locked(std::string_view name) REQUIRES(s_lock)
    {
        for (UnixSocket* socket = s_first; socket; socket = socket->m_next_named) {
            if (std::string_view(socket->m_name.data(), socket->m_name_length) == name)
                return socket;
        }
        return nullptr;
    }
    static constinit SpinLock s_lock;
    static constinit UnixSocket* s_first GUARDED_BY(s_lock);
    static constinit std::atomic<u32> s_next_automatic;
};

constinit SpinLock UnixNames::s_lock;
constinit UnixSocket* UnixNames::s_first { nullptr };
constinit std::atomic<u32> UnixNames::s_next_automatic { 1 };

UnixSocket::UnixSocket(int type)
    : Socket(nullptr, abi::k_af_unix, type, 0)
{
}

UnixSocket::~UnixSocket()
{
    close();
}

Result<SocketRef> UnixSocket::create(int type, int protocol)
{
    if (protocol != 0 && protocol != abi::k_af_unix)
        return Errno::EPROTONOSUPPORT;
    if (type != abi::k_sock_stream && type != abi::k_sock_dgram && type != abi::k_sock_seqpacket)
        return Errno::ESOCKTNOSUPPORT;
    return SocketRef(TRY(make_ref<UnixSocket>(type)));
}

Result<std::array<SocketRef, 2>> UnixSocket::create_pair(int type, int protocol)
{
    SocketRef first = TRY(create(type, protocol));
    SocketRef second = TRY(create(type, protocol));
    auto& a = static_cast<UnixSocket&>(*first);
    auto& b = static_cast<UnixSocket&>(*second);
    {
        Locked lock(a.m_lock);
        a.m_peer = RefPtr<UnixSocket>(&b);
        a.m_was_connected = true;
    }
    {
        Locked lock(b.m_lock);
        b.m_peer = RefPtr<UnixSocket>(&a);
        b.m_was_connected = true;
    }
    return std::array<SocketRef, 2> { std::move(first), std::move(second) };
}

RefPtr<UnixSocket> UnixSocket::peer()
{
    Locked lock(m_lock);
    return m_peer;
}

void UnixSocket::drop(Packet packet)
{
    auto& note = packet.note<Note>();
    if (note.attachment)
        note.attachment->unref();
    if (note.sender)
        note.sender->unref();
}

void UnixSocket::close()
{
    UnixNames::remove(*this);
    RefPtr<UnixSocket> other;
    PacketList left;
    Vector<RefPtr<UnixSocket>> waiting;
    {
        Locked lock(m_lock);
        other = std::move(m_peer);
        left = std::move(m_queue);
        waiting = std::move(m_accept_queue);
        m_bytes = m_memory = 0;
        m_listening = false;
        m_shut_read = m_shut_write = true;
    }
    bool unread = !left.is_empty();
    while (!left.is_empty())
        drop(left.pop_front());
    for (auto& connection : waiting)
        connection->close();
    if (other && is_connection_oriented()) {
        RefPtr<UnixSocket> back;
        {
            Locked lock(other->m_lock);
            if (other->m_peer.get() == this) {
                back = std::move(other->m_peer);
                other->m_peer_closed = true;
                other->m_reset = other->m_reset || unread;
            }
        }
        other->m_wait_queue.wake_all(k_readable | k_writable | abi::k_pollhup | abi::k_pollrdhup);
    } else if (other) {
        RefPtr<UnixSocket> back;
        Locked lock(other->m_lock);
        if (other->m_peer.get() == this)
            back = std::move(other->m_peer);
    }
    m_wait_queue.wake_all(k_readable | k_writable | abi::k_pollhup);
}

Result<> UnixSocket::bind(const SocketAddress& address)
{
    if (address.family != abi::k_af_unix)
        return Errno::EINVAL;
    return address.path_length == 0 ? UnixNames::add_automatically(*this) : UnixNames::add(*this, address.path_view());
}

Result<> UnixSocket::listen(int backlog)
{
    if (!is_connection_oriented())
        return Errno::EOPNOTSUPP;
    Locked lock(m_lock);
    if (!m_named || m_peer)
        return Errno::EINVAL;
    m_listening = true;
    m_backlog = backlog < 0 || backlog > 4096 ? 4096 : static_cast<u32>(backlog);
    return {};
}

Result<SocketRef> UnixSocket::accept(bool nonblocking, SocketAddress* peer_shown)
{
    Nanoseconds deadline = receive_deadline();
    RefPtr<UnixSocket> accepted;
    {
        Locked lock(m_lock);
        if (!m_listening)
            return is_connection_oriented() ? Errno::EINVAL : Errno::EOPNOTSUPP;
        if (m_accept_queue.is_empty()) {
            if (nonblocking)
                return Errno::EAGAIN;
            auto waited = m_wait_queue.wait_until(
                m_lock, [this]() NO_THREAD_SAFETY_ANALYSIS { return !m_accept_queue.is_empty() || !m_listening; },
                deadline, Interruptible::Yes);
            if (waited.is_error())
                return waited.error() == Errno::ETIMEDOUT ? Errno::EAGAIN : waited.error();
            if (m_accept_queue.is_empty())
                return Errno::EINVAL;
        }
        accepted = m_accept_queue[0];
        for (usize i = 1; i < m_accept_queue.size(); ++i)
            m_accept_queue[i - 1] = std::move(m_accept_queue[i]);
        m_accept_queue.remove_last();
    }
    m_wait_queue.wake_all(k_writable); // connect() may wait for room
    if (peer_shown) {
        peer_shown->family = abi::k_af_unix;
        if (auto other = accepted->peer())
            other->show_name(*peer_shown);
    }
    return SocketRef(std::move(accepted));
}

Result<> UnixSocket::connect(const SocketAddress& address, bool nonblocking)
{
    if (address.family == abi::k_af_unspec && !is_connection_oriented()) {
        RefPtr<UnixSocket> old;
        Locked lock(m_lock);
        old = std::move(m_peer);
        return {};
    }
    if (address.family != abi::k_af_unix || address.path_length == 0)
        return Errno::EINVAL;
    {
        Locked lock(m_lock);
        if (m_listening)
            return Errno::EINVAL;
        if (is_connection_oriented() && m_was_connected)
            return Errno::EISCONN;
    }
    auto target = UnixNames::find(address.path_view());
    if (!target)
        return Errno::ECONNREFUSED;
    if (target->m_type != m_type)
        return Errno::EPROTOTYPE;
    if (!is_connection_oriented()) {
        RefPtr<UnixSocket> old;
        Locked lock(m_lock);
        old = std::move(m_peer);
        m_peer = std::move(target);
        return {};
    }
    auto other = TRY(make_ref<UnixSocket>(m_type));
    {
        // The new one has the listener's name; it is not in the registry.
        Locked lock(target->m_lock);
        other->m_name = target->m_name;
        other->m_name_length = target->m_name_length;
        other->m_receive_options = target->m_receive_options;
    }
    {
        Locked lock(other->m_lock);
        other->m_peer = RefPtr<UnixSocket>(this);
        other->m_was_connected = true;
    }
    auto undo = [&](Errno error) -> Result<> {
        RefPtr<UnixSocket> self;
        Locked lock(other->m_lock);
        self = std::move(other->m_peer);
        return error;
    };
    {
        Locked lock(target->m_lock);
        while (target->m_listening && target->m_accept_queue.size() > target->m_backlog) {
            if (nonblocking)
                return undo(Errno::EAGAIN);
            auto waited = target->m_wait_queue.wait_until(
                target->m_lock,
                [&target]() NO_THREAD_SAFETY_ANALYSIS {
                    return !target->m_listening || target->m_accept_queue.size() <= target->m_backlog;
                },
                send_deadline(), Interruptible::Yes);
            if (waited.is_error())
                return undo(waited.error() == Errno::ETIMEDOUT ? Errno::EAGAIN : waited.error());
        }
        if (!target->m_listening)
            return undo(Errno::ECONNREFUSED);
        if (auto queued = target->m_accept_queue.try_append(other); queued.is_error())
            return undo(queued.error());
    }
    {
        Locked lock(m_lock);
        m_peer = other;
        m_was_connected = true;
    }
    target->m_wait_queue.wake_all(k_readable);
    return {};
}

Result<Packet> UnixSocket::gather(IoCursor& data, u32 length)
{
    Packet packet = TRY(Packet::create());
    u32 done = 0;
    do {
        u32 rest = length - done;
        auto size = rest > 3 * Buffer::capacity_of(Buffer::Size::Page) ? Buffer::Size::Large
            : rest > Buffer::capacity_of(Buffer::Size::Small)          ? Buffer::Size::Page
                                                                       : Buffer::Size::Small;
        BufferRef buffer = TRY(Buffer::create(size));
        u32 step = std::min(rest, Buffer::capacity_of(size));
        TRY(data.get(buffer->bytes(0, step)));
        if (!packet.append(std::move(buffer), 0, step))
            return Errno::EMSGSIZE;
        done += step;
    } while (done < length);
    packet.note<Note>() = { nullptr, nullptr };
    return packet;
}

Result<> UnixSocket::deliver(Packet& packet, u32 limit)
{
    {
        Locked lock(m_lock);
        if (m_shut_read)
            return Errno::EPIPE;
        if (m_memory >= limit && !m_queue.is_empty())
            return Errno::EAGAIN;
        m_bytes += packet.length();
        Packet* last = m_queue.last();
        // A stream's small pieces share a buffer.
        if (!keeps_boundaries() && last && !packet.note<Note>().attachment && !last->note<Note>().attachment
            && packet.length() <= 512) {
            auto place = last->grow_tail(packet.length());
            if (!place.empty()) {
                packet.copy_out(0, place);
                packet = {};
            }
        }
        if (packet) {
            m_memory += packet.memory_size();
            m_queue.push_back(std::move(packet));
        }
    }
    m_wait_queue.wake_all(k_readable);
    return {};
}

Result<usize> UnixSocket::send(SendRequest& request)
{
    TRY(take_error());
    RefPtr<UnixSocket> target;
    {
        Locked lock(m_lock);
        if (m_shut_write)
            return Errno::EPIPE;
        target = m_peer;
        if (!target && is_connection_oriented())
            return m_was_connected ? Errno::EPIPE : Errno::ENOTCONN;
    }
    if (request.destination && request.destination->path_length > 0) {
        if (is_connection_oriented())
            return Errno::EISCONN;
        if (request.destination->family != abi::k_af_unix)
            return Errno::EINVAL;
        target = UnixNames::find(request.destination->path_view());
        if (!target)
            return Errno::ECONNREFUSED;
        if (target->m_type != m_type)
            return Errno::EPROTOTYPE;
    }
    if (!target)
        return Errno::ENOTCONN;
    Nanoseconds deadline = send_deadline();
    u32 limit = m_send_limit.load(std::memory_order_relaxed);
    usize total = 0;
    usize length = request.data.remaining();
    if (keeps_boundaries() && length > limit)
        return Errno::EMSGSIZE;
    if (!keeps_boundaries() && length == 0)
        return usize { 0 };
    // As on Linux no piece takes more than half of the buffer, lest one exceed it by far.
    const usize largest = std::min<usize>(k_stream_piece, limit / 2);
    do {
        u32 piece = static_cast<u32>(keeps_boundaries() ? length : std::min(request.data.remaining(), largest));
        auto gathered = gather(request.data, piece);
        if (gathered.is_error())
            return total > 0 ? Result<usize>(total) : Result<usize>(gathered.error());
        Packet packet = gathered.release_value();
        auto& note = packet.note<Note>();
        if (total == 0 && request.attachment) {
            note.attachment = request.attachment.get();
            note.attachment->ref();
        }
        if (!is_connection_oriented()) {
            note.sender = this;
            ref();
        }
        while (true) {
            auto delivered = target->deliver(packet, limit);
            if (delivered.has_value())
                break;
            Errno error = delivered.error();
            if (error == Errno::EAGAIN && !request.nonblocking) {
                RefPtr<UnixSocket>& to = target;
                Locked lock(to->m_lock);
                auto waited = to->m_wait_queue.wait_until(
                    to->m_lock,
                    [&]() NO_THREAD_SAFETY_ANALYSIS {
                        return to->m_memory < limit || to->m_queue.is_empty() || to->m_shut_read;
                    },
                    deadline, Interruptible::Yes);
                if (waited.has_value())
                    continue;
                error = waited.error() == Errno::ETIMEDOUT ? Errno::EAGAIN : waited.error();
            }
            drop(std::move(packet));
            if (error == Errno::EPIPE && !is_connection_oriented())
                error = Errno::ECONNREFUSED;
            return total > 0 ? Result<usize>(total) : Result<usize>(error);
        }
        total += piece;
    } while (!request.data.is_empty());
    return total;
}

/// What is there, without waiting: EAGAIN.
Result<usize> UnixSocket::take(ReceiveRequest& request)
{
    bool peek = (request.flags & abi::k_msg_peek) != 0;
    usize wanted = request.data.remaining();
    PacketList taken;
    {
        Locked lock(m_lock);
        if (m_reading)
            return Errno::EAGAIN;
        if (m_queue.is_empty()) {
            if (m_reset) {
                m_reset = false;
                return Errno::ECONNRESET;
            }
            if (m_shut_read || m_peer_closed)
                return usize { 0 };
            if (is_connection_oriented() && !m_was_connected)
                return m_type == abi::k_sock_stream ? Errno::EINVAL : Errno::ENOTCONN;
            return Errno::EAGAIN;
        }
        usize length = 0;
        if (peek) {
            for (Packet* place = m_queue.first();
                place && (taken.is_empty() || (!keeps_boundaries() && length < wanted)); place = m_queue.next(place)) {
                Packet copy = TRY(place->share(0, place->length()));
                copy.note<Note>() = { nullptr, nullptr };
                length += place->length();
                taken.push_back(std::move(copy));
            }
        } else {
            m_reading = true;
            do {
                Packet packet = m_queue.pop_front();
                length += packet.length();
                m_memory -= packet.memory_size();
                bool attached = packet.note<Note>().attachment != nullptr;
                taken.push_back(std::move(packet));
                // Data with descriptors is not joined to what follows, nor to what came before.
                if (attached || keeps_boundaries() || m_queue.is_empty() || m_queue.first()->note<Note>().attachment)
                    break;
            } while (length < wanted);
        }
    }
    usize done = 0;
    usize full = taken.first()->length();
    Result<> copied;
    while (!taken.is_empty() && copied.has_value()) {
        Packet& packet = *taken.first();
        auto& note = packet.note<Note>();
        if (!peek && note.attachment && !request.attachment) {
            request.attachment = RefPtr<Attachment>::adopt(note.attachment);
            note.attachment = nullptr;
        }
        if (request.source && note.sender) {
            request.source->family = abi::k_af_unix;
            note.sender->show_name(*request.source);
        }
        u32 used = 0;
        for (u32 i = 0; i < packet.fragment_count() && done < wanted; ++i) {
            auto bytes = part(packet, i, wanted - done);
            copied = request.data.put(bytes);
            if (copied.is_error())
                break;
            done += bytes.size();
            used += static_cast<u32>(bytes.size());
        }
        if (copied.is_error() || (used < packet.length() && !keeps_boundaries())) {
            if (used > 0)
                packet.pull(used);
            break;
        }
        drop(taken.pop_front());
        if (keeps_boundaries())
            break;
    }
    if (!peek) {
        {
            Locked lock(m_lock);
            m_reading = false;
            m_bytes -= std::min(m_bytes, keeps_boundaries() ? full : done);
            if (!taken.is_empty()) {
                for (Packet* place = taken.first(); place; place = taken.next(place))
                    m_memory += place->memory_size();
                taken.append(std::move(m_queue));
                m_queue = std::move(taken);
            }
        }
        // Writers wait here, and those who poll the peer for room there.
        m_wait_queue.wake_all(k_writable);
        if (auto other = peer())
            other->m_wait_queue.wake_all(k_writable);
    }
    if (copied.is_error() && done == 0)
        return copied.error();
    if (keeps_boundaries()) {
        if (m_type == abi::k_sock_seqpacket)
            request.result_flags |= abi::k_msg_eor;
        if (full > done) {
            request.result_flags |= abi::k_msg_trunc;
            if ((request.flags & abi::k_msg_trunc) != 0)
                return full;
        }
    }
    return done;
}

Result<usize> UnixSocket::receive(ReceiveRequest& request)
{
    TRY(take_error());
    if (request.source)
        request.source->family = abi::k_af_unix;
    Nanoseconds deadline = receive_deadline();
    bool all
        = (request.flags & abi::k_msg_waitall) != 0 && (request.flags & abi::k_msg_peek) == 0 && !keeps_boundaries();
    usize total = 0;
    while (true) {
        auto got = take(request);
        if (got.has_value()) {
            total += got.value();
            if (!all || request.data.is_empty() || got.value() == 0 || request.attachment)
                return total;
            continue;
        }
        if (got.error() != Errno::EAGAIN || request.nonblocking)
            return total > 0 ? Result<usize>(total) : Result<usize>(got.error());
        Locked lock(m_lock);
        auto waited = m_wait_queue.wait_until(
            m_lock,
            [this]() NO_THREAD_SAFETY_ANALYSIS {
                return (!m_queue.is_empty() && !m_reading) || m_shut_read || m_peer_closed || m_reset;
            },
            deadline, Interruptible::Yes);
        if (waited.is_error()) {
            if (total > 0)
                return total;
            return waited.error() == Errno::ETIMEDOUT ? Errno::EAGAIN : waited.error();
        }
    }
}

Result<> UnixSocket::shutdown(int how)
{
    if (how < abi::k_shut_rd || how > abi::k_shut_rdwr)
        return Errno::EINVAL;
    bool read = how != abi::k_shut_wr;
    bool write = how != abi::k_shut_rd;
    RefPtr<UnixSocket> other;
    {
        Locked lock(m_lock);
        if (!m_peer && is_connection_oriented() && !m_was_connected)
            return Errno::ENOTCONN;
        other = m_peer;
        m_shut_read = m_shut_read || read;
        m_shut_write = m_shut_write || write;
    }
    if (other && is_connection_oriented()) {
        {
            Locked lock(other->m_lock);
            other->m_shut_read = other->m_shut_read || write;
            other->m_shut_write = other->m_shut_write || read;
        }
        other->m_wait_queue.wake_all(k_readable | k_writable | abi::k_pollrdhup | abi::k_pollhup);
    }
    m_wait_queue.wake_all(k_readable | k_writable | abi::k_pollrdhup | abi::k_pollhup);
    return {};
}

void UnixSocket::show_name(SocketAddress& address)
{
    address.family = abi::k_af_unix;
    address.path_length = m_name_length;
    std::ranges::copy(m_name, address.path.begin());
}

Result<> UnixSocket::local_address(SocketAddress& address)
{
    show_name(address);
    return {};
}

Result<> UnixSocket::peer_address(SocketAddress& address)
{
    auto other = peer();
    if (!other)
        return Errno::ENOTCONN;
    other->show_name(address);
    return {};
}

Result<usize> UnixSocket::get_option(int level, int name, std::span<u8> value)
{
    if (level == abi::k_sol_socket && name == abi::k_so_acceptconn) {
        Locked lock(m_lock);
        return store_integer(value, m_listening);
    }
    return Socket::get_option(level, name, value);
}

u32 UnixSocket::readiness()
{
    u32 events = 0;
    RefPtr<UnixSocket> other;
    bool closed;
    {
        Locked lock(m_lock);
        if (m_listening)
            return m_accept_queue.is_empty() ? 0 : k_readable;
        bool over = m_shut_read || m_peer_closed;
        if (!m_queue.is_empty() || over)
            events |= k_readable;
        if (over)
            events |= abi::k_pollrdhup;
        if ((over && m_shut_write) || m_peer_closed || (is_connection_oriented() && !m_was_connected))
            events |= abi::k_pollhup;
        if (m_reset)
            events |= abi::k_pollerr;
        closed = m_peer_closed || m_shut_write;
        other = m_peer;
    }
    if (closed)
        return events | k_writable;
    if (!other)
        return events | k_writable;
    Locked lock(other->m_lock);
    if (other->m_memory < m_send_limit.load(std::memory_order_relaxed) || other->m_shut_read)
        events |= k_writable;
    return events;
}

Result<usize> UnixSocket::bytes_to_read()
{
    Locked lock(m_lock);
    if (m_listening)
        return Errno::EINVAL;
    return keeps_boundaries() ? (m_queue.is_empty() ? usize { 0 } : usize { m_queue.first()->length() }) : m_bytes;
}

} // namespace eremite::net
