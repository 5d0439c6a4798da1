// TCP connection: what the peer has, what is lost, what is sent again (RFC 2018, 6675, 8985, 6937, 6298),
// and what turns out to have been sent again without need (RFC 3522, 4015).
#include "net/stack.h"
#include "net/tcp/connection.h"

namespace eremite::net {

/// RACK's step 2: the most recently sent segment known to have arrived (RFC 8985, 6.2).
void TcpConnection::delivered(Packet& packet, Nanoseconds now)
{
    auto& note = packet.note<Segment>();
    i64 round_trip = now.value() - note.sent_at;
    // An ACK that comes sooner than ever after a retransmission was for the original.
    if (note.ever_retransmitted && m_rtt.has_sample() && round_trip < m_rtt.minimum().value())
        return;
    u32 end = end_of(packet);
    if (note.sent_at > m_rack_sent_at || (note.sent_at == m_rack_sent_at && seq_less(m_rack_end, end))) {
        m_rack_sent_at = note.sent_at;
        m_rack_end = end;
        m_rack_rtt = round_trip;
    }
    // Delivered out of order without having been retransmitted: the network reorders.
    if (!note.ever_retransmitted && seq_less(end, m_highest_sacked))
        m_reordering_seen = true;
}

/// Takes what `ack` covers out of the queue; returns how many bytes are newly known to have arrived.
u32 TcpConnection::take_acknowledged(u32 ack, const TcpOptions& options, Nanoseconds now)
{
    u32 newly = 0;
    i64 sample = -1;
    while (Packet* front = m_sent.first()) {
        auto& note = front->note<Segment>();
        if (!seq_less(note.sequence, ack))
            break;
        u32 length = front->length();
        u32 covered = std::min(length, ack - note.sequence);
        if (note.sacked) {
            m_sacked_bytes -= covered;
        } else {
            newly += covered;
            if (!note.ever_retransmitted)
                sample = std::max(sample, note.sent_at); // the latest sent gives the sharpest measure
            delivered(*front, now);
        }
        if (note.lost)
            m_lost_bytes -= covered;
        if (note.retransmitted) {
            m_retransmitted_bytes -= covered;
            // Eifel (RFC 3522, 3.2): what is acknowledged is older than what was sent again, so it had not been lost.
            if (options.timestamps && m_handshake.timestamps
                && seq_less(options.timestamps->echo, timestamp_now(Nanoseconds(note.sent_at))))
                m_doubtful_bytes -= std::min(m_doubtful_bytes, covered);
        }
        u32 before = front->memory_size();
        u32 after = 0;
        if (covered == length) {
            m_sent.pop_front();
        } else {
            front->pull(covered);
            note.sequence += covered;
            note.headroom = false;
            after = front->memory_size();
        }
        m_send_memory -= before - after;
        m_tcp.account(static_cast<i64>(after) - before);
        if (covered < length)
            break;
    }
    if (sample >= 0)
        m_rtt.sample(Nanoseconds(now.value() - sample));
    return newly;
}

/// Marks what SACK blocks report; returns how many bytes are newly known to have arrived.
u32 TcpConnection::process_sack(const TcpOptions& options, u32 ack, Nanoseconds now)
{
    u32 newly = 0;
    for (usize i = 0; i < options.sack_count; ++i) {
        SequenceRange block = options.sack[i];
        bool duplicate = i == 0
            && (seq_at_most(block.end, ack)
                || (options.sack_count > 1 && seq_at_most(options.sack[1].start, block.start)
                    && seq_at_most(block.end, options.sack[1].end)));
        if (duplicate) {
            grow_reordering_window(now);
            if (m_probe_outstanding && block.end == m_probe_end)
                m_probe_outstanding = false;
            continue;
        }
        if (!seq_less(block.start, block.end) || seq_less(block.start, m_snd_una) || seq_less(m_snd_nxt, block.end))
            continue;
        for (Packet* place = m_sent.first(); place; place = m_sent.next(place)) {
            auto* note = &place->note<Segment>();
            u32 end = end_of(*place);
            if (seq_at_most(end, block.start))
                continue;
            if (seq_at_most(block.end, note->sequence))
                break;
            if (note->sacked)
                continue;
            // Blocks that cut a super-segment split it, but at multiples of the segment size only matters what is
            // whole.
            if (seq_less(note->sequence, block.start)) {
                if (!split(m_sent, place, block.start - note->sequence))
                    break;
                continue;
            }
            if (seq_less(block.end, end) && !split(m_sent, place, block.end - note->sequence))
                break;
            note = &place->note<Segment>();
            u32 length = place->length();
            note->sacked = true;
            m_sacked_bytes += length;
            newly += length;
            if (note->lost) {
                note->lost = false;
                m_lost_bytes -= length;
            }
            if (note->retransmitted) {
                note->retransmitted = false;
                m_retransmitted_bytes -= length;
            }
            delivered(*place, now);
            m_highest_sacked = seq_max(m_highest_sacked, end_of(*place));
        }
    }
    if (newly > 0)
        stack().statistics().tcp_sacks_received.add();
    return newly;
}

/// Something was sent twice without need: be more patient with what is overtaken, by one step in a round trip, until
/// sixteen recoveries have gone without another such report (RFC 8985, 6.2, step 4).
void TcpConnection::grow_reordering_window(Nanoseconds now)
{
    if (now - m_reorder_grown_at < m_rtt.smoothed())
        return;
    m_reorder_grown_at = now;
    m_reorder_persists = 16;
    if (m_reorder_steps < UINT8_MAX)
        ++m_reorder_steps;
}

void TcpConnection::mark_lost(Packet& packet)
{
    auto& note = packet.note<Segment>();
    if (note.retransmitted) {
        note.retransmitted = false;
        m_retransmitted_bytes -= packet.length();
    }
    if (!note.lost) {
        note.lost = true;
        m_lost_bytes += packet.length();
    }
}

/// RACK: a segment is lost when one sent sufficiently later has arrived (RFC 8985, 6.2, steps 4 and 5).
void TcpConnection::detect_losses(Nanoseconds now)
{
    m_reorder_at = Nanoseconds::max();
    if (m_rack_sent_at == 0 || m_sent.is_empty())
        return;
    i64 window = std::min(m_rtt.minimum().value() / 4 * m_reorder_steps, m_rtt.smoothed().value());
    if (!m_reordering_seen && (m_recovery != Recovery::None || m_sacked_bytes >= 3 * m_mss || m_duplicate_acks >= 3))
        window = 0;
    i64 next = INT64_MAX;
    for (Packet* place = m_sent.first(); place; place = m_sent.next(place)) {
        auto& note = place->note<Segment>();
        if (note.sacked || (note.lost && !note.retransmitted))
            continue;
        bool sent_before
            = note.sent_at < m_rack_sent_at || (note.sent_at == m_rack_sent_at && seq_less(end_of(*place), m_rack_end));
        if (!sent_before)
            continue;
        i64 due = note.sent_at + m_rack_rtt + window;
        if (due <= now.value())
            mark_lost(*place);
        else
            next = std::min(next, due);
    }
    if (next != INT64_MAX)
        m_reorder_at = Nanoseconds(next);
}

void TcpConnection::enter_recovery(Nanoseconds now)
{
    m_recovery = Recovery::Fast;
    m_doubtful_bytes = 0;
    m_recover = m_snd_nxt;
    m_prr_flight = std::max(m_snd_nxt - m_snd_una, m_mss);
    m_prr_delivered = 0;
    m_prr_out = 0;
    m_congestion.enter_recovery(m_prr_flight, now);
    stack().statistics().tcp_fast_retransmits.add();
}

/// All that this recovery sent again had arrived the first time: the network had lost nothing, and the window goes back
/// to what it was (RFC 4015, 3.2).
void TcpConnection::undo_recovery()
{
    // After a timeout everything was taken for lost. What really is, RACK finds.
    for (Packet* place = m_sent.first(); place; place = m_sent.next(place))
        place->note<Segment>().lost = false;
    m_lost_bytes = 0;
    m_congestion.undo();
    m_recovery = Recovery::None;
    m_duplicate_acks = 0;
    m_reordering_seen = true;
    stack().statistics().tcp_undone_recoveries.add();
}

/// After each ACK: enters, conducts and leaves recovery, or lets the window grow.
void TcpConnection::update_recovery(u32 acknowledged, u32 newly_delivered, bool was_limited, Nanoseconds now)
{
    if (m_sacked_bytes > 0 || m_recovery != Recovery::None)
        detect_losses(now);
    if (!m_handshake.sack && m_duplicate_acks >= 3 && m_recovery == Recovery::None) {
        // Without SACK: three duplicates mean that the first segment is lost (RFC 5681, 3.2).
        if (Packet* first = m_sent.first()) {
            if (first->length() > m_mss)
                split(m_sent, first, m_mss);
            mark_lost(*first);
        }
    }
    if (m_recovery == Recovery::None && m_lost_bytes > 0)
        enter_recovery(now);
    if (m_recovery != Recovery::None && seq_at_most(m_recover, m_snd_una)) {
        if (m_recovery == Recovery::Fast)
            m_congestion.leave_recovery();
        m_recovery = Recovery::None;
        m_duplicate_acks = 0;
        if (m_reorder_persists == 0 || --m_reorder_persists == 0)
            m_reorder_steps = 1;
        return;
    }
    if (m_recovery == Recovery::Fast) {
        if (!m_handshake.sack && acknowledged > 0) {
            // A partial ACK: the next one is lost as well (RFC 6582, 3.2).
            if (Packet* first = m_sent.first(); first && !first->note<Segment>().retransmitted) {
                if (first->length() > m_mss)
                    split(m_sent, first, m_mss);
                mark_lost(*first);
            }
        }
        // Proportional rate reduction (RFC 6937), with the slow-start bound where the flight has fallen below.
        u32 counted = m_handshake.sack ? newly_delivered : std::max(acknowledged, newly_delivered == 0 ? m_mss : 0u);
        m_prr_delivered += counted;
        u32 threshold = m_congestion.threshold();
        u32 flight = in_flight();
        i64 send;
        if (flight > threshold) {
            send
                = static_cast<i64>((u64 { m_prr_delivered } * threshold + m_prr_flight - 1) / m_prr_flight) - m_prr_out;
        } else {
            i64 limit = std::max<i64>(i64 { m_prr_delivered } - m_prr_out, counted) + m_mss;
            send = std::min<i64>(threshold - flight, limit);
        }
        if (m_prr_out == 0)
            send = std::max<i64>(send, m_mss); // the first retransmission always goes
        m_congestion.set_window(flight + static_cast<u32>(std::max<i64>(send, 0)));
        return;
    }
    // Slow start goes on while recovering from a timeout. Growth is for windows that were in use (RFC 7661).
    if (acknowledged > 0 && (was_limited || m_congestion.in_slow_start()))
        m_congestion.acknowledged(acknowledged, m_rtt.smoothed(), now);
}

bool TcpConnection::retransmit_lost(Nanoseconds now)
{
    bool sent = false;
    for (Packet* place = m_sent.first(); place; place = m_sent.next(place)) {
        if (!place->note<Segment>().lost || place->note<Segment>().retransmitted)
            continue;
        u32 flight = in_flight();
        u32 window = m_congestion.window();
        // At the front of the queue one segment may always go, or nothing would ever move.
        bool must = flight == 0 || (m_prr_out == 0 && m_recovery == Recovery::Fast);
        if (flight + std::min(place->length(), m_mss) > window && !must)
            break;
        u32 room = std::max(window > flight ? window - flight : 0, m_mss);
        u32 limit = std::min(std::max(room / m_mss, 1u), std::max(k_max_super_segment / m_mss, 1u)) * m_mss;
        if (place->length() > limit && !split(m_sent, place, limit))
            break;
        auto& note = place->note<Segment>();
        u32 length = place->length();
        u8 flags = TcpHeader::k_ack;
        if (m_fin_sent && end_of(*place) + 1 == m_snd_nxt)
            flags |= TcpHeader::k_fin | TcpHeader::k_psh;
        if (!transmit(place, note.sequence, flags, now))
            break;
        note.retransmitted = true;
        note.ever_retransmitted = true;
        note.sent_at = now.value();
        m_retransmitted_bytes += length;
        m_doubtful_bytes += length;
        m_prr_out += length;
        m_total_retransmissions += (length + m_mss - 1) / m_mss;
        stack().statistics().tcp_retransmitted_segments.add((length + m_mss - 1) / m_mss);
        sent = true;
    }
    if (sent)
        arm_retransmit(now);
    return sent;
}

void TcpConnection::retransmission_timeout(Nanoseconds now)
{
    stack().statistics().tcp_timeouts.add();
    ++m_retries;
    m_probe_outstanding = false;
    Packet* first = m_sent.first();
    if (!first) {
        // Only the FIN is out.
        if (m_fin_sent) {
            transmit(nullptr, m_snd_nxt - 1, TcpHeader::k_fin | TcpHeader::k_ack, now);
            ++m_total_retransmissions;
            stack().statistics().tcp_retransmitted_segments.add();
        }
        m_rtt.back_off();
        arm_retransmit(now);
        return;
    }
    if (m_recovery != Recovery::Timeout)
        m_congestion.timeout(in_flight(), now);
    else
        m_congestion.set_window(m_mss);
    // A peer may forget what it reported (RFC 2018, 8): then the reports count no more.
    bool reneged = first->note<Segment>().sacked;
    for (Packet* place = m_sent.first(); place; place = m_sent.next(place)) {
        auto& note = place->note<Segment>();
        if (note.sacked && reneged) {
            note.sacked = false;
            m_sacked_bytes -= place->length();
        }
        if (!note.sacked)
            mark_lost(*place);
    }
    m_recovery = Recovery::Timeout;
    m_doubtful_bytes = 0;
    m_recover = m_snd_nxt;
    m_duplicate_acks = 0;
    m_prr_out = 0;
    m_rtt.back_off();
    // One segment goes whatever the window says.
    retransmit_lost(now);
    arm_retransmit(now);
}

/// The tail may be lost without anybody noticing: provoke an ACK before the timeout (RFC 8985, 7).
void TcpConnection::loss_probe(Nanoseconds now)
{
    stack().statistics().tcp_loss_probes.add();
    u32 before = m_snd_nxt;
    m_push_held = true;
    u32 window = m_congestion.window();
    if (!m_unsent.is_empty())
        m_congestion.set_window(window + m_mss);
    bool sent_new = send_new_data(now);
    m_congestion.set_window(window);
    m_probe_retransmitted = false;
    if (!sent_new && m_snd_nxt == before) {
        Packet* last = m_sent.last();
        if (last) {
            u32 length = last->length();
            u32 probe = length > m_mss ? (length - 1) % m_mss + 1 : length;
            if (probe < length && split(m_sent, last, length - probe))
                last = m_sent.last();
            auto& note = last->note<Segment>();
            u8 flags = static_cast<u8>(TcpHeader::k_ack | TcpHeader::k_psh);
            if (m_fin_sent)
                flags |= TcpHeader::k_fin;
            if (transmit(last, note.sequence, flags, now)) {
                if (!note.retransmitted && note.lost) {
                    note.retransmitted = true;
                    m_retransmitted_bytes += last->length();
                }
                note.ever_retransmitted = true;
                note.sent_at = now.value();
                m_probe_retransmitted = true;
                ++m_total_retransmissions;
                stack().statistics().tcp_retransmitted_segments.add();
            }
        } else if (m_fin_sent) {
            transmit(nullptr, m_snd_nxt - 1, TcpHeader::k_fin | TcpHeader::k_ack, now);
        }
    }
    m_probe_outstanding = true;
    m_probe_end = m_snd_nxt;
    // What follows is the real timeout, not another probe.
    m_retransmit_kind = RetransmitKind::Timeout;
    m_retransmit_at = now + m_rtt.timeout();
}

} // namespace eremite::net
