// TCP connection: what is sent, and when.
#include "net/stack.h"
#include "net/tcp/connection.h"

namespace eremite::net {

namespace {

constexpr Nanoseconds k_delayed_ack = Nanoseconds::from_milliseconds(40);
constexpr Nanoseconds k_cork_limit = Nanoseconds::from_milliseconds(200);

} // namespace

/// Splits so that the bytes from `length` on become a packet of their own after `place`.
bool TcpConnection::split(PacketList& list, Packet* place, u32 length)
{
    auto rest = place->share(length, place->length() - length);
    if (rest.is_error())
        return false;
    auto& note = place->note<Segment>();
    auto& rest_note = rest.value().note<Segment>();
    rest_note = note;
    rest_note.sequence = note.sequence + length;
    rest_note.headroom = false;
    u32 before = place->memory_size();
    place->truncate(length);
    // A buffer that both hold counts twice; so be it, as long as it is taken off as it was added.
    u32 after = place->memory_size() + rest.value().memory_size();
    m_send_memory += after - before;
    m_tcp.account(static_cast<i64>(after) - before);
    list.insert_after(place, rest.release_value());
    return true;
}

void TcpConnection::output(Nanoseconds now)
{
    if (!is_synchronized() || !refresh_path())
        return;
    bool sent = false;
    if (m_lost_bytes > m_retransmitted_bytes)
        sent = retransmit_lost(now);
    sent = send_new_data(now) || sent;
    if (!sent && m_fin_queued && !m_fin_sent && m_unsent.is_empty()) {
        sent = transmit(nullptr, m_snd_nxt, TcpHeader::k_fin | TcpHeader::k_ack, now);
        if (sent) {
            m_fin_sent = true;
            ++m_snd_nxt;
            arm_retransmit(now);
        }
    }
    if (!sent && is_ack_due()) {
        if (m_quick_acks > 0)
            --m_quick_acks;
        send_ack(now);
    }
    delay_ack(now);
}

void TcpConnection::delay_ack(Nanoseconds now)
{
    if (m_unacknowledged > 0 && m_delayed_ack_at == Nanoseconds::max())
        m_delayed_ack_at = now + k_delayed_ack;
    update_timer();
}

/// Whether a last piece shorter than a segment waits for more, or for an acknowledgment.
bool TcpConnection::should_hold(u32 outstanding)
{
    if (m_fin_queued || m_push_held)
        return false;
    if (m_settings.cork || m_more)
        return true;
    if (outstanding == 0)
        return false;
    // Nagle with Minshall's change: one small segment under way at a time.
    if (!m_settings.no_delay && seq_less(m_snd_una, m_small_end))
        return true;
    return false;
}

/// While the device still has what we gave it last, small messages gain nothing by going now, and may get company.
bool TcpConnection::wait_for_device()
{
    if (m_path.interface->device().is_transmit_idle())
        return false;
    if (!m_waits_for_device) {
        m_waits_for_device = true;
        m_tcp.schedule_when_idle(*this, *m_path.interface);
    }
    return true;
}

bool TcpConnection::send_new_data(Nanoseconds now)
{
    bool sent = false;
    if (m_unsent.is_empty())
        return false;
    if (m_snd_una == m_snd_nxt && now - m_last_sent > m_rtt.timeout())
        m_congestion.restart_after_idle();
    if (m_small_writes && m_unsent_bytes < k_gather && m_snd_una != m_snd_nxt && !m_fin_queued && !m_push_held
        && wait_for_device())
        return false;
    while (Packet* front = m_unsent.first()) {
        u32 length = front->length();
        u32 outstanding = m_snd_nxt - m_snd_una;
        u32 window_room = m_snd_wnd > outstanding ? m_snd_wnd - outstanding : 0;
        u32 flight = in_flight();
        u32 congestion_room = m_congestion.window() > flight ? m_congestion.window() - flight : 0;
        u32 super = std::max(k_max_super_segment / m_mss, 1u) * m_mss;
        u32 piece = std::min({ length, window_room, congestion_room, super });
        if (piece < length) {
            if (congestion_room <= window_room && piece == congestion_room)
                m_window_limited = true;
            if (piece >= m_mss) {
                piece -= piece % m_mss;
                // Rather one large piece when the window has opened than many small ones as it does.
                if (flight > 0 && !m_push_held && piece < super && piece < m_congestion.window() / 4
                    && piece == congestion_room - congestion_room % m_mss)
                    break;
            } else if (congestion_room < window_room) {
                break;
            } else if (piece == 0 || piece < m_max_window / 2) {
                break; // silly window (RFC 9293, 3.8.6.2.1)
            }
        } else if (u32 tail = length % m_mss;
            tail != 0 && front == m_unsent.last() && should_hold(outstanding + length - tail)) {
            piece = length - tail;
            if (piece == 0)
                break;
        }
        if (piece < length && !split(m_unsent, front, piece))
            break;
        auto& note = front->note<Segment>();
        note.sequence = m_snd_nxt;
        bool last = piece == m_unsent_bytes;
        u8 flags = static_cast<u8>(TcpHeader::k_ack | (last ? TcpHeader::k_psh : 0));
        bool fin = last && m_fin_queued && !m_fin_sent;
        if (fin)
            flags |= TcpHeader::k_fin;
        if (!transmit(front, m_snd_nxt, flags, now)) {
            // The device is full: the packet stays, and goes when there is room.
            if (!m_waits_for_device) {
                m_waits_for_device = true;
                m_tcp.schedule_when_idle(*this, *m_path.interface);
            }
            break;
        }
        note.sent_at = now.value();
        if (outstanding == 0)
            m_stalled_since = now;
        m_snd_nxt += piece;
        m_unsent_bytes -= piece;
        m_total_sent += piece;
        if (piece % m_mss != 0)
            m_small_end = m_snd_nxt;
        if (fin) {
            m_fin_sent = true;
            ++m_snd_nxt;
        }
        m_prr_out += piece;
        m_sent.push_back(m_unsent.pop_front());
        sent = true;
    }
    m_push_held = false;
    if (sent) {
        arm_retransmit(now);
        m_cork_at = Nanoseconds::max();
    } else if ((m_settings.cork || m_more) && m_unsent_bytes > 0 && m_snd_una == m_snd_nxt) {
        if (m_cork_at == Nanoseconds::max())
            m_cork_at = now + k_cork_limit;
    } else if (m_unsent_bytes > 0 && m_snd_una == m_snd_nxt && m_retransmit_kind != RetransmitKind::WindowProbe
        && m_snd_wnd < std::min(m_unsent_bytes, m_mss)) {
        // Nothing is under way that could bring a window update: ask for it.
        m_retransmit_kind = RetransmitKind::WindowProbe;
        m_probes = 0;
        m_retransmit_at = now + m_rtt.timeout();
    }
    return sent;
}

u32 TcpConnection::receive_space()
{
    u32 limit = m_settings.receive_limit;
    if (m_settings.window_clamp != 0)
        limit = std::min(limit, m_settings.window_clamp);
    u32 queued = m_receive_bytes.load(std::memory_order_relaxed);
    // Small pieces in large buffers take more memory than they hold data.
    u32 memory = m_receive_memory / 2;
    u32 used = std::max(queued, memory);
    u32 space = used < limit ? limit - used : 0;
    if (m_tcp.is_short_of_memory())
        space = std::min(space, 4 * m_receive_mss);
    return space;
}

u16 TcpConnection::select_window()
{
    u32 space = may_receive() ? receive_space() : 0;
    u32 left = seq_less(m_rcv_nxt, m_rcv_edge) ? m_rcv_edge - m_rcv_nxt : 0;
    // Never shrink; open only by a worthwhile step (RFC 9293, 3.8.6.2.2).
    if (space <= left || space - left < std::min(m_settings.receive_limit / 2, m_receive_mss))
        space = left;
    u8 scale = m_handshake.receive_scale;
    u32 window = std::min<u32>(space >> scale, 65535);
    // Rounding down may not take back what was promised.
    if ((window << scale) < left)
        window = std::min<u32>((left + (1u << scale) - 1) >> scale, 65535);
    m_rcv_edge = seq_max(m_rcv_edge, m_rcv_nxt + (window << scale));
    return static_cast<u16>(window);
}

void TcpConnection::fill_options(TcpOptions& options, bool syn, bool payload, Nanoseconds now)
{
    if (m_handshake.timestamps)
        options.timestamps = TcpTimestamps { timestamp_now(now), m_handshake.recent_timestamp };
    if (syn || !m_handshake.sack)
        return;
    auto add = [&](SequenceRange range) {
        if (range.is_empty() || options.sack_count >= (m_handshake.timestamps ? 3 : 4))
            return;
        for (auto& known : std::span(options.sack).first(options.sack_count)) {
            if (known == range)
                return;
        }
        options.sack[options.sack_count++] = range;
    };
    if (!m_duplicate_sack.is_empty()) {
        add(m_duplicate_sack);
        m_duplicate_sack = {};
    }
    if (m_out_of_order.is_empty() || payload)
        return; // data segments go without, so that a full segment stays one
    for (const SequenceRange& range : m_recent_sacks)
        add(range);
}

/// What is handed down of a packet of the queue, or for a segment without data.
Result<Packet> TcpConnection::packet_for(Packet* segment)
{
    if (!segment)
        return Packet::create(k_packet_headroom, 0);
    // First time, and nobody but the queue has the buffer: the headers go before the payload, in the same buffer.
    bool in_place = segment->note<Segment>().headroom && segment->fragment(0).buffer->is_exclusive();
    auto shared = segment->share(0, segment->length());
    if (in_place && shared.has_value())
        shared.value().claim_headroom();
    return shared;
}

bool TcpConnection::transmit(Packet* segment, u32 sequence, u8 flags, Nanoseconds now)
{
    u32 length = segment ? segment->length() : 0;
    auto created = packet_for(segment);
    if (created.is_error())
        return false;
    bool is_gone = true;
    if (may_transmit_plainly(length, now)) [[likely]] {
        is_gone = transmit_plainly(created.release_value(), sequence, flags, now);
    } else {
        auto result = transmit_with_options(created.release_value(), sequence, flags, now);
        is_gone = result.has_value() || result.error() != Errno::ENOBUFS;
    }
    if (!is_gone && segment)
        return false;
    note_transmission(length, flags, now);
    return true;
}

Result<> TcpConnection::transmit_with_options(Packet packet, u32 sequence, u8 flags, Nanoseconds now)
{
    u32 length = packet.length();
    TcpOptions options;
    fill_options(options, false, length > 0, now);
    if (length > 0)
        options.sack_count = 0;
    std::array<u8, TcpOptions::k_max_length> option_bytes;
    usize option_length = options.write(option_bytes);
    u32 header_length = static_cast<u32>(sizeof(TcpHeader) + option_length);
    auto bytes = packet.prepend(header_length);
    if (bytes.empty())
        return Errno::ENOBUFS;
    Checksum sum = m_pseudo_header;
    sum.add32(header_length + length);
    *header_at<TcpHeader>(bytes) = TcpHeader {
        .source_port = key().local_port,
        .destination_port = key().remote_port,
        .sequence = sequence,
        .acknowledgment = m_rcv_nxt,
        .data_offset = static_cast<u8>(header_length << 2),
        .flags = flags,
        .window = select_window(),
        .checksum = Be16::from_raw(sum.partial()),
        .urgent = 0,
    };
    std::ranges::copy(std::span(option_bytes).first(option_length), bytes.subspan(sizeof(TcpHeader)).begin());
    auto& offload = packet.offload();
    offload.needs_checksum = true;
    offload.checksum_start = 0;
    offload.checksum_offset = 16;
    if (length > m_mss) {
        offload.segmentation = key().remote.is_v4() ? Segmentation::Tcp4 : Segmentation::Tcp6;
        offload.segment_size = static_cast<u16>(m_mss);
        offload.header_length = static_cast<u16>(header_length);
    }
    IpOutput how { .protocol = Protocol::Tcp,
        .hop_limit = m_settings.hop_limit,
        .traffic_class = m_settings.traffic_class,
        .dont_fragment = true };
    return stack().output(std::move(packet), m_path, key().remote, how);
}

void TcpConnection::send_syn(Nanoseconds now)
{
    if (!refresh_path())
        return;
    TcpOptions options;
    u32 headers = key().remote.is_v4() ? 40 : 60;
    u32 mss = m_path.mtu - headers;
    if (m_settings.max_segment != 0)
        mss = std::min<u32>(mss, m_settings.max_segment);
    options.mss = static_cast<u16>(std::min(mss, 65535u));
    options.sack_permitted = true;
    options.timestamps = TcpTimestamps { timestamp_now(now), 0 };
    options.window_scale = k_window_scale;
    bool reply = state() == State::SynReceived;
    if (reply) {
        options.sack_permitted = m_handshake.sack;
        if (m_handshake.timestamps)
            options.timestamps->echo = m_handshake.recent_timestamp;
        else
            options.timestamps.reset();
        if (!m_handshake.window_scaling)
            options.window_scale.reset();
    }
    u16 window = static_cast<u16>(std::min<u32>(m_settings.receive_limit, 65535));
    m_rcv_edge = m_rcv_nxt + window;
    m_tcp.send_bare(key(), m_path.interface,
        { .sequence = m_snd_una,
            .acknowledgment = reply ? m_rcv_nxt : 0,
            .flags = static_cast<u8>(TcpHeader::k_syn | (reply ? TcpHeader::k_ack : 0)),
            .window = window,
            .hop_limit = m_settings.hop_limit,
            .traffic_class = m_settings.traffic_class },
        options);
    ++m_segments_out;
}

void TcpConnection::send_reset(u32 sequence)
{
    m_tcp.send_bare(key(), m_path.interface,
        { .sequence = sequence,
            .acknowledgment = m_rcv_nxt,
            .flags = TcpHeader::k_rst | TcpHeader::k_ack,
            .window = 0,
            .hop_limit = m_settings.hop_limit,
            .traffic_class = m_settings.traffic_class },
        {});
    stack().statistics().tcp_out_resets.add();
}

/// An old sequence number: the peer must answer with where it is and how large its window is.
void TcpConnection::send_probe(Nanoseconds now)
{
    transmit(nullptr, m_snd_una - 1, TcpHeader::k_ack, now);
}

} // namespace eremite::net
