// The short ways through TCP: a short segment that is just what was expected goes from the device's buffer to the end
// of the receive queue, and a segment leaves with all of its headers written at once. What is in any way unusual takes
// the general way (input.cpp, output.cpp), which does the same in more steps.
#include "net/stack.h"
#include "net/tcp/connection.h"
#include "net/tcp/frame4.h"
#include "net/tcp/socket.h"

namespace eremite::net {

bool Stack::take_short(Interface& interface, std::span<const u8> frame)
{
    auto* headers = header_at<TcpFrame4>(frame);
    if (!headers || headers->ethernet.type.raw() != Be16(k_ethertype_ipv4).raw()
        || headers->ip.version_and_length != TcpFrame4::k_version_and_length || headers->ip.protocol != Protocol::Tcp
        || headers->ethernet.destination != interface.device().mac() || m_raw.is_used())
        return false;
    u32 total = headers->ip.total_length;
    u32 header_length = static_cast<u32>(headers->tcp.header_length());
    constexpr u8 k_expected_flags = static_cast<u8>(~TcpHeader::k_psh);
    if ((headers->ip.fragment & (Ipv4Header::k_offset_mask | Ipv4Header::k_more_fragments)) != 0
        || total + TcpFrame4::k_ip > frame.size() || total < sizeof(Ipv4Header) + header_length
        || (headers->tcp.flags & k_expected_flags) != TcpHeader::k_ack || sum_of(headers->ip) != 0xffff)
        return false;
    TcpArrival arrival { .header = headers->tcp,
        .payload = frame.subspan(TcpFrame4::k_tcp + header_length, total - sizeof(Ipv4Header) - header_length) };
    if (header_length == sizeof(TcpHeader) + sizeof(TcpTimestampsOption)) {
        arrival.timestamps = header_at<TcpTimestampsOption>(frame, sizeof(TcpFrame4));
        if (arrival.timestamps->start != TcpTimestampsOption::k_start)
            return false;
    } else if (header_length != sizeof(TcpHeader)) {
        return false;
    }
    auto entry = m_tcp.table().find({ IpAddress::v4(headers->ip.destination), IpAddress::v4(headers->ip.source),
        headers->tcp.destination_port, headers->tcp.source_port });
    if (!entry || entry->kind() != TcpEntry::Kind::Connection
        || !static_cast<TcpConnection&>(*entry).receive_expected(arrival, poll_time()))
        return false;
    m_statistics.ip_in_receives.add();
    m_statistics.ip_in_delivers.add();
    m_statistics.tcp_in_segments.add();
    return true;
}

/// Room for the payload at the end of the receive queue; empty if there is none.
std::span<u8> TcpConnection::reserve_receive(u32 length)
{
    bool piles_up = false;
    if (Packet* last = m_receive_queue.last()) {
        if (auto place = last->grow_tail(length); !place.empty())
            return place;
        piles_up = true;
    }
    // Where short segments pile up, the next ones will want to join.
    auto created = Packet::create();
    bool fits = length <= Buffer::capacity_of(Buffer::Size::Small);
    auto buffer = Buffer::create(piles_up || !fits ? Buffer::Size::Page : Buffer::Size::Small);
    if (created.is_error() || buffer.is_error() || length > buffer.value()->capacity())
        return {};
    Packet packet = created.release_value();
    auto place = buffer.value()->bytes(0, length);
    u32 memory = buffer.value()->allocation_size();
    packet.append(buffer.release_value(), 0, length);
    m_receive_memory += memory;
    m_tcp.account(memory);
    m_receive_queue.push_back(std::move(packet));
    return place;
}

/// An acknowledgment of the one segment that is under way, sent once, with nothing lost: all that process_ack() does
/// then. False: it is something else.
bool TcpConnection::acknowledge_last(u32 ack, const TcpHeader& header, Nanoseconds now)
{
    if (ack != m_snd_nxt || m_sent.count() != 1 || m_retransmit_kind == RetransmitKind::WindowProbe)
        return false;
    Packet* packet = m_sent.first();
    auto& note = packet->note<Segment>();
    u32 acknowledged = ack - m_snd_una;
    if (note.ever_retransmitted || note.lost || note.sacked || packet->fragment_count() != 1
        || packet->length() != acknowledged)
        return false;
    m_snd_wnd = u32 { header.window } << m_handshake.send_scale;
    m_max_window = std::max(m_max_window, m_snd_wnd);
    m_snd_wl1 = header.sequence;
    m_snd_wl2 = ack;
    m_rack_sent_at = note.sent_at;
    m_rack_end = ack;
    m_rack_rtt = now.value() - note.sent_at;
    m_rtt.sample(Nanoseconds(m_rack_rtt));
    u32 memory = packet->fragment(0).buffer->allocation_size();
    m_send_memory -= memory;
    m_tcp.account(-static_cast<i64>(memory));
    m_sent.pop_front();
    m_snd_una = ack;
    if (seq_less(m_small_end, ack))
        m_small_end = ack;
    m_total_acknowledged += acknowledged;
    m_retries = 0;
    m_duplicate_acks = 0;
    m_stalled_since = now;
    if (m_path.neighbour)
        m_path.neighbour->confirm(now);
    if (std::exchange(m_window_limited, false) || m_congestion.in_slow_start())
        m_congestion.acknowledged(acknowledged, m_rtt.smoothed(), now);
    m_retransmit_kind = RetransmitKind::None;
    m_retransmit_at = Nanoseconds::max();
    i32 before = m_send_room.load(std::memory_order_relaxed);
    i32 threshold = static_cast<i32>(m_settings.send_limit / 3);
    update_send_room();
    if (before <= threshold && m_send_room.load(std::memory_order_relaxed) > threshold)
        notify(abi::k_pollout | abi::k_pollwrnorm);
    return true;
}

bool TcpConnection::receive_expected(const TcpArrival& arrival, Nanoseconds now)
{
    Locked lock(m_lock);
    u32 sequence = arrival.header.sequence;
    u32 ack = arrival.header.acknowledgment;
    u32 length = static_cast<u32>(arrival.payload.size());
    if (state() != State::Established || sequence != m_rcv_nxt
        || m_handshake.timestamps != (arrival.timestamps != nullptr) || !m_out_of_order.is_empty() || m_fin_pending
        || m_receive_shut.load(std::memory_order_relaxed) || seq_less(m_rcv_edge, sequence + length)
        || m_recovery != Recovery::None || (m_sacked_bytes | m_lost_bytes | m_retransmitted_bytes) != 0
        || m_probe_outstanding || seq_less(ack, m_snd_una) || seq_less(m_snd_nxt, ack)
        || (length == 0 && ack == m_snd_una))
        return false;
    if (arrival.timestamps && static_cast<i32>(arrival.timestamps->value - m_handshake.recent_timestamp) < 0)
        return false;
    std::span<u8> place;
    if (length > 0) {
        if (m_receive_memory > 2 * m_settings.receive_limit || m_tcp.is_short_of_memory())
            return false;
        place = reserve_receive(length);
        if (place.empty())
            return false;
        __builtin_memcpy(place.data(), arrival.payload.data(), length);
    }
    ++m_segments_in;
    m_last_received = now;
    m_probes = 0;
    if (arrival.timestamps && seq_at_most(sequence, m_last_ack_sent)) {
        m_handshake.recent_timestamp = arrival.timestamps->value;
        m_recent_timestamp_at = now;
    }
    if (!acknowledge_last(ack, arrival.header, now)) {
        static constexpr TcpOptions k_none;
        process_ack(arrival.header, k_none, length, now);
    }
    if (length > 0) {
        m_receive_mss = std::max(m_receive_mss, std::min(length, 1460u));
        m_rcv_nxt += length;
        m_unacknowledged += length;
        m_total_received += length;
        m_last_data_received = now;
        m_receive_bytes.fetch_add(length, std::memory_order_relaxed);
        notify(abi::k_pollin | abi::k_pollrdnorm);
    }
    if (!m_unsent.is_empty() || is_ack_due()) {
        schedule_output();
        return true;
    }
    delay_ack(now);
    return true;
}

/// A message that nothing keeps from going at once, in one segment. False: the general way.
bool TcpConnection::send_directly(std::span<const u8> bytes, Nanoseconds now)
{
    u32 length = static_cast<u32>(bytes.size());
    u32 outstanding = m_snd_nxt - m_snd_una;
    if (!m_unsent.is_empty() || length > m_mss || m_settings.cork || m_recovery != Recovery::None || m_lost_bytes != 0
        || m_path.generation != stack().generation() || outstanding + length > m_snd_wnd
        || in_flight() + length > m_congestion.window() || !may_transmit_plainly(length, now))
        return false;
    bool is_first = outstanding == 0;
    if (is_first ? now - m_last_sent > m_rtt.timeout()
                 : (!m_settings.no_delay && seq_less(m_snd_una, m_small_end))
                || !m_path.interface->device().is_transmit_idle())
        return false;
    auto created = Packet::create(k_packet_headroom, length);
    if (created.is_error())
        return false;
    Packet packet = created.release_value();
    __builtin_memcpy(packet.head().data(), bytes.data(), length);
    auto shared = packet.share(0, length);
    if (shared.is_error())
        return false;
    shared.value().claim_headroom();
    constexpr u8 flags = TcpHeader::k_ack | TcpHeader::k_psh;
    if (!transmit_plainly(shared.release_value(), m_snd_nxt, flags, now))
        return false;
    note_transmission(length, flags, now);
    packet.note<Segment>() = { .sent_at = now.value(),
        .sequence = m_snd_nxt,
        .sacked = false,
        .lost = false,
        .retransmitted = false,
        .ever_retransmitted = false,
        .headroom = true };
    u32 memory = packet.memory_size();
    m_send_memory += memory;
    m_tcp.account(memory);
    m_sent.push_back(std::move(packet));
    if (is_first)
        m_stalled_since = now;
    m_snd_nxt += length;
    m_total_sent += length;
    if (length != m_mss)
        m_small_end = m_snd_nxt;
    m_prr_out += length;
    m_push_held = false;
    m_cork_at = Nanoseconds::max();
    arm_retransmit(now);
    update_timer();
    return true;
}

/// Whether the short way out is open: the next hop is known, and the device does all sums and cuts.
bool TcpConnection::may_transmit_plainly(u32 length, Nanoseconds now)
{
    if (!m_path.neighbour || !key().remote.is_v4() || !m_path.neighbour->is_fresh(now))
        return false;
    auto features = m_path.interface->device().features();
    bool reports = m_handshake.sack && (!m_duplicate_sack.is_empty() || (length == 0 && !m_out_of_order.is_empty()));
    return features.checksum && (length <= m_mss || features.tso4) && !reports;
}

bool TcpConnection::transmit_plainly(Packet packet, u32 sequence, u8 flags, Nanoseconds now)
{
    u32 length = packet.length();
    u32 tcp_length = sizeof(TcpHeader) + (m_handshake.timestamps ? sizeof(TcpTimestampsOption) : 0);
    auto bytes = packet.prepend(TcpFrame4::k_tcp + tcp_length);
    if (bytes.empty())
        return false;
    bool is_super = length > m_mss;
    auto* headers = header_at<TcpFrame4>(bytes);
    headers->ethernet = { m_path.neighbour->mac(), m_path.interface->device().mac(), k_ethertype_ipv4 };
    headers->ip = Ipv4Header {
        .version_and_length = TcpFrame4::k_version_and_length,
        .traffic_class = m_settings.traffic_class,
        .total_length = static_cast<u16>(sizeof(Ipv4Header) + tcp_length + length),
        .identification = is_super ? stack().next_identification() : u16 { 0 },
        .fragment = Ipv4Header::k_dont_fragment,
        .ttl = m_settings.hop_limit,
        .protocol = Protocol::Tcp,
        .checksum = {},
        .source = m_path.source.as_v4(),
        .destination = key().remote.as_v4(),
    };
    headers->ip.checksum = Be16::from_raw(static_cast<u16>(~sum_of(headers->ip)));
    Checksum sum = m_pseudo_header;
    sum.add32(tcp_length + length);
    headers->tcp = TcpHeader {
        .source_port = key().local_port,
        .destination_port = key().remote_port,
        .sequence = sequence,
        .acknowledgment = m_rcv_nxt,
        .data_offset = static_cast<u8>(tcp_length << 2),
        .flags = flags,
        .window = select_window(),
        .checksum = Be16::from_raw(sum.partial()),
        .urgent = 0,
    };
    if (m_handshake.timestamps) {
        auto* option = header_at<TcpTimestampsOption>(bytes, sizeof(TcpFrame4));
        *option = {};
        option->value = timestamp_now(now);
        option->echo = m_handshake.recent_timestamp;
    }
    auto& offload = packet.offload();
    offload.needs_checksum = true;
    offload.checksum_start = TcpFrame4::k_tcp;
    offload.checksum_offset = 16;
    if (is_super) {
        offload.segmentation = Segmentation::Tcp4;
        offload.segment_size = static_cast<u16>(m_mss);
        offload.header_length = static_cast<u16>(TcpFrame4::k_tcp + tcp_length);
    }
    stack().statistics().ip_out_requests.add();
    return m_path.interface->transmit_frame(packet);
}

void TcpConnection::note_transmission(u32 length, u8 flags, Nanoseconds now)
{
    // Everything we send acknowledges what we have.
    m_last_ack_sent = m_rcv_nxt;
    m_unacknowledged = 0;
    m_ack_now = false;
    m_delayed_ack_at = Nanoseconds::max();
    if (length > 0 || (flags & TcpHeader::k_fin) != 0)
        m_last_sent = now;
    ++m_segments_out;
    stack().statistics().tcp_out_segments.add();
}

/// Puts a message into the queue's last buffer, where that waits for the device anyway: nothing else is to be done.
bool TcpConnection::join_waiting(std::span<const u8> bytes)
{
    u32 length = static_cast<u32>(bytes.size());
    if (!m_waits_for_device || m_unsent.is_empty() || m_unsent_bytes + length >= k_gather / 2)
        return false;
    // Nobody but the send queue writes behind what it has queued.
    auto place = m_unsent.last()->grow_tail(length, true);
    if (place.empty())
        return false;
    __builtin_memcpy(place.data(), bytes.data(), length);
    m_unsent_bytes += length;
    m_more = false;
    return true;
}

Result<usize> TcpConnection::send_short(const IoBuffer& data)
{
    usize length = data.size();
    if (length == 0 || length > k_small || m_send_room.load(std::memory_order_relaxed) <= 0)
        return usize { 0 };
    std::array<u8, k_small> copy;
    auto bytes = std::span(copy).first(length);
    TRY(data.read(bytes));
    Locked lock(m_lock);
    if (!may_send() || m_fin_queued)
        return usize { 0 };
    m_small_writes = true;
    if (join_waiting(bytes))
        return length;
    Nanoseconds now = stack().now();
    m_more = false;
    if (!send_directly(bytes, now)) {
        u32 before = m_unsent_bytes;
        append_small(bytes);
        if (m_unsent_bytes == before)
            return usize { 0 };
        output(now);
    }
    update_send_room();
    return length;
}

/// Where one packet is all there is, or all that is wanted. 0: it is not so, nothing was done.
Result<usize> TcpConnection::read_packet(IoCursor& data)
{
    usize wanted = data.remaining();
    Packet packet;
    {
        Locked lock(m_lock);
        Packet* first = m_receive_queue.first();
        if (!first || m_reading || (m_receive_queue.count() > 1 && first->length() < wanted))
            return usize { 0 };
        m_reading = true;
        packet = m_receive_queue.pop_front();
        u32 memory = packet.memory_size();
        m_receive_memory -= memory;
        m_tcp.account(-static_cast<i64>(memory));
    }
    u32 done = 0;
    Result<> copied;
    for (u32 i = 0; i < packet.fragment_count() && done < wanted; ++i) {
        auto bytes = packet.fragment(i).bytes();
        bytes = bytes.first(std::min(bytes.size(), wanted - done));
        copied = data.put(bytes);
        if (copied.is_error())
            break;
        done += static_cast<u32>(bytes.size());
    }
    Locked lock(m_lock);
    m_reading = false;
    if (done < packet.length()) {
        packet.pull(done);
        m_receive_memory += packet.memory_size();
        m_tcp.account(packet.memory_size());
        m_receive_queue.push_front(std::move(packet));
        notify(abi::k_pollin);
    }
    if (done > 0)
        after_read(done);
    if (copied.is_error() && done == 0)
        return copied.error();
    return usize { done };
}

Result<usize> TcpSocket::send_bytes(const IoBuffer& data, u32 flags, bool nonblocking)
{
    TcpConnection* connection = m_fast.load(std::memory_order_acquire);
    if (connection && (flags & abi::k_msg_more) == 0) [[likely]] {
        auto sent = connection->send_short(data);
        if (sent.is_error() || sent.value() > 0) [[likely]] {
            m_stack->finish();
            return sent;
        }
    }
    return Socket::send_bytes(data, flags, nonblocking);
}

Result<usize> TcpSocket::receive_bytes(const IoBuffer& data, u32 flags, bool nonblocking)
{
    TcpConnection* connection = m_fast.load(std::memory_order_acquire);
    constexpr u32 unusual = abi::k_msg_peek | abi::k_msg_waitall | abi::k_msg_trunc;
    if (!connection || (flags & unusual) != 0 || data.is_empty()) [[unlikely]]
        return Socket::receive_bytes(data, flags, nonblocking);
    // What goes wrong while waiting is for the general way to find, and to say.
    if (!connection->has_news() && !nonblocking) {
        auto waited = m_stack->wait(m_wait_queue, [&] { return connection->has_news(); }, receive_deadline());
        if (waited.is_error())
            return waited.error() == Errno::ETIMEDOUT ? Errno::EAGAIN : waited.error();
    }
    if (connection->bytes_to_read() > 0) [[likely]] {
        IoCursor cursor({ &data, 1 });
        auto got = connection->read_packet(cursor);
        if (got.is_error() || got.value() > 0) {
            m_stack->finish();
            return got;
        }
    }
    return Socket::receive_bytes(data, flags, nonblocking);
}

} // namespace eremite::net
