#include "net/tcp/layer.h"

#include "net/checksum.h"
#include "net/stack.h"
#include "net/tcp/socket.h"

namespace eremite::net {

Tcp::Tcp(Stack& stack)
    : m_stack(stack)
    , m_table(stack.table_key())
{
}

Result<> Tcp::initialize()
{
    return m_table.initialize();
}

void Tcp::shut_down()
{
    {
        Locked lock(m_pending_lock);
        auto forget = [](TcpConnection* connection) { connection->unref(); };
        m_pending.clear_and_dispose(forget);
        m_idle_waiters.clear_and_dispose(forget);
    }
    while (auto entry = m_table.any()) {
        if (entry->kind() == TcpEntry::Kind::Connection)
            static_cast<TcpConnection&>(*entry).close(true);
        m_table.remove(*entry);
    }
}

void Tcp::receive(const IpInfo& info, Packet packet)
{
    auto& statistics = m_stack.statistics();
    statistics.tcp_in_segments.add();
    u32 start = info.header_length;
    if (packet.length() < start + sizeof(TcpHeader)
        || !packet.make_contiguous(start + static_cast<u32>(sizeof(TcpHeader))))
        return statistics.tcp_in_errors.add();
    u32 header_length = static_cast<u32>(header_at<TcpHeader>(packet.head(), start)->header_length());
    if (header_length < sizeof(TcpHeader) || packet.length() < start + header_length
        || !packet.make_contiguous(start + header_length))
        return statistics.tcp_in_errors.add();
    if (!packet.offload().checksum_verified) {
        Checksum sum;
        u32 length = packet.length() - start;
        sum.add_pseudo_header(info.source, info.destination, Protocol::Tcp, length);
        sum.add(packet, start, length);
        if (!sum.is_valid())
            return statistics.tcp_in_errors.add();
    }
    TcpHeader header = *header_at<TcpHeader>(packet.head(), start);
    auto option_bytes = packet.head().subspan(start + sizeof(TcpHeader), header_length - sizeof(TcpHeader));
    TcpOptions options = TcpOptions::parse(option_bytes);
    packet.pull(start + header_length);
    packet.offload() = {};
    TcpKey key { info.destination, info.source, header.destination_port, header.source_port };
    auto entry = m_table.find(key);
    if (entry) [[likely]] {
        switch (entry->kind()) {
        case TcpEntry::Kind::Connection:
            return static_cast<TcpConnection&>(*entry).receive(header, options, std::move(packet));
        case TcpEntry::Kind::Request:
            return static_cast<TcpRequest&>(*entry).receive(info, header, options, std::move(packet));
        case TcpEntry::Kind::TimeWait:
            if (!static_cast<TcpTimeWait&>(*entry).receive(info, header, options, packet.length()))
                return;
            break;
        }
    }
    receive_without_entry(info, header, options, std::move(packet));
}

void Tcp::receive_without_entry(const IpInfo& info, const TcpHeader& header, const TcpOptions& options, Packet payload)
{
    TcpKey key { info.destination, info.source, header.destination_port, header.source_port };
    u8 flags = header.flags;
    auto listener = m_listeners.find(key, info.interface->index(), key.hash(m_stack.table_key()));
    if (listener && (flags & TcpHeader::k_rst) == 0) {
        if ((flags & (TcpHeader::k_syn | TcpHeader::k_ack | TcpHeader::k_fin)) == TcpHeader::k_syn)
            return listener->receive_syn(info, key, header, options);
        if ((flags & TcpHeader::k_ack) != 0 && (flags & TcpHeader::k_syn) == 0) {
            Packet data = std::move(payload);
            if (listener->receive_cookie(info, key, header, options, std::move(data)))
                return;
            return send_reset_for(info, header, 0);
        }
    }
    send_reset_for(info, header, payload.length());
}

void Tcp::send_reset_for(const IpInfo& info, const TcpHeader& header, u32 length)
{
    u8 flags = header.flags;
    if ((flags & TcpHeader::k_rst) != 0 || info.to_many)
        return;
    TcpKey key { info.destination, info.source, header.destination_port, header.source_port };
    Bare reset;
    if ((flags & TcpHeader::k_ack) != 0) {
        reset.sequence = header.acknowledgment;
        reset.flags = TcpHeader::k_rst;
    } else {
        u32 counted = length + ((flags & TcpHeader::k_syn) != 0) + ((flags & TcpHeader::k_fin) != 0);
        reset.acknowledgment = header.sequence + counted;
        reset.flags = TcpHeader::k_rst | TcpHeader::k_ack;
    }
    m_stack.statistics().tcp_out_resets.add();
    send_bare(key, nullptr, reset, {});
}

void Tcp::send_bare(const TcpKey& key, Interface*, const Bare& segment, const TcpOptions& options)
{
    auto path = m_stack.find_path(key.remote, key.local, nullptr);
    std::array<u8, TcpOptions::k_max_length> option_bytes;
    usize option_length = options.write(option_bytes);
    u32 length = static_cast<u32>(sizeof(TcpHeader) + option_length);
    auto created = Packet::create(k_packet_headroom, length);
    if (path.is_error() || created.is_error())
        return;
    Packet packet = created.release_value();
    Checksum sum;
    sum.add_pseudo_header(key.local, key.remote, Protocol::Tcp, length);
    *header_at<TcpHeader>(packet.head()) = TcpHeader {
        .source_port = key.local_port,
        .destination_port = key.remote_port,
        .sequence = segment.sequence,
        .acknowledgment = segment.acknowledgment,
        .data_offset = static_cast<u8>(length << 2),
        .flags = segment.flags,
        .window = segment.window,
        .checksum = Be16::from_raw(sum.partial()),
        .urgent = 0,
    };
    std::ranges::copy(std::span(option_bytes).first(option_length), packet.head().subspan(sizeof(TcpHeader)).begin());
    packet.offload().needs_checksum = true;
    packet.offload().checksum_start = 0;
    packet.offload().checksum_offset = 16;
    m_stack.statistics().tcp_out_segments.add();
    IpOutput how { .protocol = Protocol::Tcp,
        .hop_limit = segment.hop_limit,
        .traffic_class = segment.traffic_class,
        .dont_fragment = true };
    if (auto sent = m_stack.output(std::move(packet), path.value(), key.remote, how); sent.is_error()) { }
}

void Tcp::icmp_error(const IcmpReport& report)
{
    auto* ports = header_at<UdpHeader>(std::span<const u8>(report.transport)); // same places as TCP's
    u32 sequence = *header_at<Be32>(std::span<const u8>(report.transport), 4);
    auto entry = m_table.find({ report.local, report.remote, ports->source_port, ports->destination_port });
    if (entry && entry->kind() == TcpEntry::Kind::Connection)
        static_cast<TcpConnection&>(*entry).icmp_error(report.error, sequence, report.mtu);
}

u32 Tcp::initial_sequence(const TcpKey& key)
{
    // RFC 6528: a clock of 4 us plus a keyed hash of the connection's addresses.
    std::array<u64, 5> words { key.local.high(), key.local.low(), key.remote.high(), key.remote.low(),
        u64 { key.local_port } << 16 | key.remote_port };
    return static_cast<u32>(siphash(m_stack.secret(), words)) + static_cast<u32>(m_stack.now().value() >> 12);
}

u32 Tcp::timestamp_offset(const TcpKey& key)
{
    // Per pair of addresses, so that timestamps of successive connections grow (RFC 7323, 5.4).
    std::array<u64, 5> words { key.local.high(), key.local.low(), key.remote.high(), key.remote.low(), 1u << 31 };
    return static_cast<u32>(siphash(m_stack.secret(), words));
}

bool Tcp::conflicts(const TcpSocket& socket, const Endpoint& local)
{
    for (TcpSocket* other = m_bound[local.port % k_bind_buckets]; other; other = other->m_next_bound) {
        if (other == &socket || other->m_local.port != local.port)
            continue;
        if (other->reuse_port() && socket.reuse_port())
            continue;
        if (other->reuse_address() && socket.reuse_address() && !other->is_listening())
            continue;
        if (other->bound_interface() != 0 && socket.bound_interface() != 0
            && other->bound_interface() != socket.bound_interface())
            continue;
        const IpAddress& theirs = other->m_local.address;
        bool same_family = theirs.is_v4() == local.address.is_v4()
            || (theirs.is_v6() && theirs.is_unspecified() && !other->v6_only())
            || (local.address.is_v6() && local.address.is_unspecified() && !socket.v6_only());
        if (same_family && (theirs.is_unspecified() || local.address.is_unspecified() || theirs == local.address))
            return true;
    }
    return false;
}

Result<> Tcp::bind(TcpSocket& socket, Endpoint local)
{
    Locked lock(m_bind_lock);
    if (socket.m_bound)
        return Errno::EINVAL;
    if (local.port != 0) {
        if (conflicts(socket, local))
            return Errno::EADDRINUSE;
        // Connections that outlived their socket hold the port too, unless the application says otherwise.
        bool busy = false;
        if (!socket.reuse_address() && !socket.reuse_port()) {
            m_table.for_each([&](TcpEntry& entry) {
                busy = entry.key().local_port == local.port
                    && (local.address.is_unspecified() || entry.key().local == local.address);
                return !busy;
            });
        }
        if (busy)
            return Errno::EADDRINUSE;
    } else {
        constexpr u32 range = k_last_ephemeral_port - k_first_ephemeral_port + 1;
        u32 start = static_cast<u32>(m_stack.environment().random64() % range);
        u32 tried = 0;
        do {
            if (tried++ == range)
                return Errno::EADDRINUSE;
            local.port = static_cast<u16>(k_first_ephemeral_port + (start + tried) % range);
        } while (conflicts(socket, local));
    }
    auto& bucket = m_bound[local.port % k_bind_buckets];
    socket.m_local = local;
    socket.m_bound = true;
    socket.m_next_bound = bucket;
    bucket = &socket;
    return {};
}

void Tcp::unbind(TcpSocket& socket)
{
    Locked lock(m_bind_lock);
    if (!socket.m_bound)
        return;
    TcpSocket** place = &m_bound[socket.m_local.port % k_bind_buckets];
    while (*place != &socket)
        place = &(*place)->m_next_bound;
    *place = socket.m_next_bound;
    socket.m_bound = false;
}

Result<RefPtr<TcpConnection>> Tcp::open(
    TcpSocket& socket, const TcpKey& wanted, const Path& path, const TcpSettings& settings)
{
    TcpKey key = wanted;
    // RFC 6056, algorithm 3: a keyed hash of the destination gives where the search begins.
    std::array<u64, 5> words { key.local.high(), key.local.low(), key.remote.high(), key.remote.low(),
        key.remote_port };
    u32 offset = static_cast<u32>(siphash(m_stack.secret(), words));
    constexpr u32 range = k_last_ephemeral_port - k_first_ephemeral_port + 1;
    u32 attempts = key.local_port != 0 ? 1 : range;
    Nanoseconds now = m_stack.now();
    for (u32 i = 0; i < attempts; ++i) {
        if (wanted.local_port == 0) {
            u32 counter = m_port_counter.fetch_add(1, std::memory_order_relaxed);
            key.local_port = static_cast<u16>(k_first_ephemeral_port + (offset + counter) % range);
            Locked lock(m_bind_lock);
            if (conflicts(socket, { key.local, key.local_port, 0 }))
                continue;
        }
        if (auto old = m_table.find(key)) {
            u32 sequence;
            if (old->kind() != TcpEntry::Kind::TimeWait || !static_cast<TcpTimeWait&>(*old).may_reuse(now, sequence))
                continue;
            m_table.remove(*old);
        }
        auto connection = TRY(make_ref<TcpConnection>(*this, key, path, settings));
        auto inserted = m_table.insert(connection);
        if (inserted.has_value())
            return connection;
        if (inserted.error() != Errno::EADDRINUSE)
            return inserted.error();
    }
    return Errno::EADDRNOTAVAIL;
}

void Tcp::schedule(TcpConnection& connection)
{
    if (connection.is_pending.exchange(true, std::memory_order_acq_rel))
        return;
    connection.ref();
    Locked lock(m_pending_lock);
    m_pending.push_back(connection);
    m_pending_count.fetch_add(1, std::memory_order_release);
}

void Tcp::schedule_when_idle(TcpConnection& connection, Interface& interface)
{
    if (!connection.is_pending.exchange(true, std::memory_order_acq_rel)) {
        connection.ref();
        Locked lock(m_pending_lock);
        m_idle_waiters.push_back(connection);
        m_idle_waiter_count.fetch_add(1, std::memory_order_release);
    }
    interface.flush(); // or the device could never become idle
    interface.device().notify_when_transmitted();
}

void Tcp::device_idle()
{
    if (m_idle_waiter_count.load(std::memory_order_acquire) == 0)
        return;
    Locked lock(m_pending_lock);
    while (!m_idle_waiters.empty()) {
        TcpConnection& connection = m_idle_waiters.front();
        m_idle_waiters.pop_front();
        m_idle_waiter_count.fetch_sub(1, std::memory_order_release);
        m_pending.push_back(connection);
        m_pending_count.fetch_add(1, std::memory_order_release);
    }
}

bool Tcp::run_pending()
{
    bool any = false;
    // Only what is there now: a connection that schedules itself again waits for the next turn.
    u32 count = m_pending_count.load(std::memory_order_acquire);
    for (u32 i = 0; i < count; ++i) {
        RefPtr<TcpConnection> connection;
        {
            Locked lock(m_pending_lock);
            if (m_pending.empty())
                break;
            connection = RefPtr<TcpConnection>::adopt(&m_pending.front());
            m_pending.pop_front();
            m_pending_count.fetch_sub(1, std::memory_order_release);
        }
        connection->is_pending.store(false, std::memory_order_release);
        connection->run_pending();
        any = true;
    }
    return any;
}

} // namespace eremite::net
