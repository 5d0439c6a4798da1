// One TCP connection: RFC 9293, with 7323 (window scale, timestamps, PAWS), 2018 and 2883 (SACK, D-SACK), 8985
// (RACK-TLP), 6937 (PRR), 6298 (timeouts), 5961 (challenge ACKs), and congestion control in congestion.h.
//
// Everything is under one spinlock, taken by whoever brings a segment, a timer or a system call; nothing sleeps under
// it. Payload is copied from and to the application without it. The source is split by topic: connection.cpp (life and
// system calls), input.cpp, output.cpp, recovery.cpp (what is lost, what is sent again), timers.cpp.
#pragma once

#include "abi/fs.h"
#include "abi/socket.h"
#include "device/packet.h"
#include "net/checksum.h"
#include "net/io_cursor.h"
#include "net/ip.h"
#include "net/routing.h"
#include "net/tcp/congestion.h"
#include "net/tcp/rtt.h"
#include "net/tcp/table.h"
#include "net/tcp/tcp_options.h"
#include "net/timer_wheel.h"
#include "sched/wait_queue.h"

namespace eremite::net {

struct TcpArrival;
class Tcp;
class TcpListener;
class Stack;

/// What setsockopt sets; a listener's is inherited by its connections.
struct TcpSettings {
    bool no_delay { false };
    bool cork { false };
    bool keepalive { false };
    bool quick_ack { false };
    u8 hop_limit { 64 };
    u8 traffic_class { 0 };
    CongestionControl::Algorithm congestion { CongestionControl::Algorithm::Cubic };
    u16 max_segment { 0 };
    u32 window_clamp { 0 };
    u32 syn_retries { 6 };
    u32 defer_accept_seconds { 0 };
    Nanoseconds keepalive_idle { Nanoseconds::from_seconds(7200) };
    Nanoseconds keepalive_interval { Nanoseconds::from_seconds(75) };
    u32 keepalive_probes { 9 };
    Nanoseconds user_timeout { 0 };
    Nanoseconds fin_timeout { Nanoseconds::from_seconds(60) };
    u32 send_limit { 262144 };
    u32 receive_limit { 262144 };
    bool send_limit_fixed { false };
    bool receive_limit_fixed { false };
};

/// What both sides agreed on in the handshake.
struct TcpHandshake {
    u32 initial_send { 0 };
    u32 initial_receive { 0 };
    u16 peer_mss { 536 };
    u8 send_scale { 0 };
    u8 receive_scale { 0 };
    bool window_scaling { false };
    bool sack { false };
    bool timestamps { false };
    u32 recent_timestamp { 0 };
    u32 timestamp_offset { 0 };
    u32 peer_window { 0 };
};

class TcpConnection final : public TcpEntry, public WheelTimer {
public:
    /// With Linux's numbers (TCP_INFO).
    enum class State : u8 {
        Established = 1,
        SynSent = 2,
        SynReceived = 3,
        FinWait1 = 4,
        FinWait2 = 5,
        Closed = 7,
        CloseWait = 8,
        LastAck = 9,
        Closing = 11,
    };
    static constexpr u32 k_default_mss4 = 536;
    static constexpr u32 k_default_mss6 = 1220;
    static constexpr u32 k_max_receive_limit = 6u << 20;
    static constexpr u32 k_max_send_limit = 4u << 20;
    /// Payload of a super-segment.
    static constexpr u32 k_max_super_segment = 64000;
    static constexpr u8 k_window_scale = 7;
    /// Messages up to this length pass through the stack of the caller, so that they can join the last buffer of the
    /// queue.
    static constexpr u32 k_small = 1024;
    /// So much of small messages goes at once, though the device is not done with what went before.
    static constexpr u32 k_gather = 32768;

    TcpConnection(Tcp& tcp, const TcpKey& key, Path path, const TcpSettings& settings);
    ~TcpConnection() override;

    /// Active open: sends the SYN.
    void connect();
    /// Passive open: the handshake is complete. Before it is in the table.
    void accept(const TcpHandshake& handshake, Nanoseconds round_trip);
    /// Who is woken; null when the last descriptor is gone.
    void set_wait_queue(WaitQueue* queue);

    /// Takes a segment's payload (headers off). The segment is for this connection, and its checksum is right.
    void receive(const TcpHeader& header, const TcpOptions& options, Packet payload);
    /// Takes a short segment that is just what was expected next. False: it is to go the general way.
    bool receive_expected(const TcpArrival& arrival, Nanoseconds now);
    void icmp_error(IcmpError error, u32 sequence, u32 mtu);

    /// Queues what fits and sends what may be sent. EAGAIN when there is no room; EPIPE, ENOTCONN, or the pending
    /// error.
    Result<usize> send(IoCursor& data, bool more);
    /// Gives what is there, up to data.remaining(). 0: the peer is done. EAGAIN; ENOTCONN; the pending error.
    Result<usize> read(IoCursor& data, bool peek);
    /// Short ways of both, for what is usual. 0: it is not, and nothing was done.
    Result<usize> send_short(const IoBuffer& data);
    Result<usize> read_packet(IoCursor& data);
    Result<> shutdown_send();
    void shutdown_receive();
    /// The application is done with it: FIN, or RST if data is unread or `abort`.
    void close(bool abort);
    /// Sends what was held back, acknowledges what was held back.
    void push();
    void change_settings(void (*change)(TcpSettings&, u64), u64 value);
    TcpSettings settings();

    State state() const { return m_state.load(std::memory_order_acquire); }
    u32 readiness();
    bool is_writable() const { return m_send_room.load(std::memory_order_relaxed) > 0; }
    bool is_send_queue_empty();
    usize bytes_to_read() const { return m_receive_bytes.load(std::memory_order_relaxed); }
    usize bytes_to_send();
    usize bytes_unsent();
    /// Takes the error that ended the connection, once.
    Errno take_error() { return static_cast<Errno>(m_error.exchange(0)); }
    bool has_error() const { return m_error.load() != 0; }
    bool is_receive_shut() const { return m_receive_shut.load(std::memory_order_relaxed); }
    /// read() would do anything but say EAGAIN. Without the lock: what is missed brings a wake-up.
    bool has_news() const
    {
        return bytes_to_read() > 0 || state() != State::Established || peer_is_done() || is_receive_shut()
            || has_error();
    }
    bool peer_is_done() const { return m_fin_received.load(std::memory_order_acquire); }
    void fill_info(abi::TcpInfo& info);

    /// Called by Tcp for a connection on its pending list.
    void run_pending();

    ListHook accept_hook;
    ListHook pending_hook;
    std::atomic<bool> is_pending { false };

protected:
    bool retain() override { return try_ref(); }
    void expire(Nanoseconds now) override;

private:
    friend class TcpTestAccess;
    /// Goes with each packet of the send queue.
    struct Segment {
        i64 sent_at;
        u32 sequence;
        bool sacked;
        bool lost;
        bool retransmitted; // and that copy may still arrive
        bool ever_retransmitted;
        bool headroom; // the buffer's bytes before the payload are free for headers
    };
    struct Arrival {
        u32 start;
        u32 end;
    };
    enum class RetransmitKind : u8 { None, Timeout, LossProbe, WindowProbe };
    enum class Recovery : u8 { None, Fast, Timeout };

    Stack& stack() { return m_stack; }
    static u32 end_of(Packet& packet) { return packet.note<Segment>().sequence + packet.length(); }
    bool is_synchronized() const
    {
        State s = state();
        return s != State::SynSent && s != State::SynReceived && s != State::Closed;
    }
    bool may_send() const { return state() == State::Established || state() == State::CloseWait; }
    bool may_receive() const
    {
        return state() == State::Established || state() == State::FinWait1 || state() == State::FinWait2;
    }
    void set_state(State state) REQUIRES(m_lock);
    void notify(u32 events) REQUIRES(m_lock);
    void fail(Errno error) REQUIRES(m_lock);
    void become_closed() REQUIRES(m_lock);
    void enter_time_wait(Nanoseconds now) REQUIRES(m_lock);
    void establish(const TcpHandshake& handshake, Nanoseconds now) REQUIRES(m_lock);
    void update_mss() REQUIRES(m_lock);
    bool refresh_path() REQUIRES(m_lock);

    // connection.cpp
    Result<Packet> gather(IoCursor& data, u32 length);
    bool join_waiting(std::span<const u8> bytes) REQUIRES(m_lock);
    void append_small(std::span<const u8> bytes) REQUIRES(m_lock);
    void append(Packet packet) REQUIRES(m_lock);
    void update_send_room() REQUIRES(m_lock);
    void after_read(usize length) REQUIRES(m_lock);
    void tune_receive_buffer(Nanoseconds now) REQUIRES(m_lock);

    // input.cpp
    void receive_syn_sent(const TcpHeader&, const TcpOptions&, Packet, Nanoseconds now) REQUIRES(m_lock);
    void receive_synchronized(const TcpHeader&, const TcpOptions&, Packet, Nanoseconds now) REQUIRES(m_lock);
    bool check_sequence(const TcpHeader&, const TcpOptions&, u32 length, Nanoseconds now) REQUIRES(m_lock);
    bool process_ack(const TcpHeader&, const TcpOptions&, u32 length, Nanoseconds now) REQUIRES(m_lock);
    void receive_data(u32 sequence, Packet payload, bool fin, Nanoseconds now) REQUIRES(m_lock);
    void enqueue(Packet payload) REQUIRES(m_lock);
    void store_out_of_order(u32 sequence, Packet payload) REQUIRES(m_lock);
    void drain_out_of_order() REQUIRES(m_lock);
    void prune() REQUIRES(m_lock);
    void process_fin(Nanoseconds now) REQUIRES(m_lock);
    void challenge_ack(Nanoseconds now) REQUIRES(m_lock);
    void remember_sack(SequenceRange range) REQUIRES(m_lock);
    static bool reports_duplicate(const TcpOptions& options, u32 ack);
    void ack_at_once() REQUIRES(m_lock) { m_ack_now = true; }
    void schedule_output() REQUIRES(m_lock);

    // fast_path.cpp
    bool acknowledge_last(u32 ack, const TcpHeader& header, Nanoseconds now) REQUIRES(m_lock);
    std::span<u8> reserve_receive(u32 length) REQUIRES(m_lock);
    bool may_transmit_plainly(u32 length, Nanoseconds now) REQUIRES(m_lock);
    bool send_directly(std::span<const u8> bytes, Nanoseconds now) REQUIRES(m_lock);
    bool transmit_plainly(Packet packet, u32 sequence, u8 flags, Nanoseconds now) REQUIRES(m_lock);

    // output.cpp
    /// Whether what arrived is to be acknowledged now, data or not.
    bool is_ack_due() REQUIRES(m_lock)
    {
        return m_ack_now || m_unacknowledged >= 2 * m_receive_mss
            || (m_unacknowledged > 0 && (m_quick_acks > 0 || m_settings.quick_ack));
    }
    /// Acknowledges what arrived some time later, unless data goes first.
    void delay_ack(Nanoseconds now) REQUIRES(m_lock);
    void note_transmission(u32 length, u8 flags, Nanoseconds now) REQUIRES(m_lock);
    Result<Packet> packet_for(Packet* segment) REQUIRES(m_lock);
    Result<> transmit_with_options(Packet packet, u32 sequence, u8 flags, Nanoseconds now) REQUIRES(m_lock);
    void output(Nanoseconds now) REQUIRES(m_lock);
    bool send_new_data(Nanoseconds now) REQUIRES(m_lock);
    bool should_hold(u32 outstanding) REQUIRES(m_lock);
    bool wait_for_device() REQUIRES(m_lock);
    bool transmit(Packet* segment, u32 sequence, u8 flags, Nanoseconds now) REQUIRES(m_lock);
    void send_ack(Nanoseconds now) REQUIRES(m_lock) { transmit(nullptr, m_snd_nxt, TcpHeader::k_ack, now); }
    void send_syn(Nanoseconds now) REQUIRES(m_lock);
    void send_reset(u32 sequence) REQUIRES(m_lock);
    void send_probe(Nanoseconds now) REQUIRES(m_lock);
    u16 select_window() REQUIRES(m_lock);
    u32 receive_space() REQUIRES(m_lock);
    void fill_options(TcpOptions& options, bool syn, bool payload, Nanoseconds now) REQUIRES(m_lock);
    u32 timestamp_now(Nanoseconds now) const
    {
        return static_cast<u32>(now.milliseconds()) + m_handshake.timestamp_offset;
    }
    /// Splits the packet at `place` so that its first `length` bytes stand there and the rest follows.
    bool split(PacketList& list, Packet* place, u32 length) REQUIRES(m_lock);

    // recovery.cpp
    u32 in_flight() const REQUIRES(m_lock)
    {
        return m_snd_nxt - m_snd_una - m_sacked_bytes - m_lost_bytes + m_retransmitted_bytes;
    }
    u32 take_acknowledged(u32 ack, const TcpOptions& options, Nanoseconds now) REQUIRES(m_lock);
    u32 process_sack(const TcpOptions& options, u32 ack, Nanoseconds now) REQUIRES(m_lock);
    void delivered(Packet& packet, Nanoseconds now) REQUIRES(m_lock);
    void grow_reordering_window(Nanoseconds now) REQUIRES(m_lock);
    void undo_recovery() REQUIRES(m_lock);
    void detect_losses(Nanoseconds now) REQUIRES(m_lock);
    void mark_lost(Packet& packet) REQUIRES(m_lock);
    void enter_recovery(Nanoseconds now) REQUIRES(m_lock);
    void update_recovery(u32 acknowledged, u32 newly_delivered, bool was_limited, Nanoseconds now) REQUIRES(m_lock);
    bool retransmit_lost(Nanoseconds now) REQUIRES(m_lock);
    void retransmission_timeout(Nanoseconds now) REQUIRES(m_lock);
    void loss_probe(Nanoseconds now) REQUIRES(m_lock);

    // timers.cpp
    void arm_retransmit(Nanoseconds now) REQUIRES(m_lock);
    void update_timer() REQUIRES(m_lock);
    void keepalive(Nanoseconds now) REQUIRES(m_lock);
    void window_probe(Nanoseconds now) REQUIRES(m_lock);

    Tcp& m_tcp;
    Stack& m_stack;
    SpinLock m_lock;
    std::atomic<State> m_state { State::Closed };
    WaitQueue* m_wait_queue GUARDED_BY(m_lock) { nullptr };
    std::atomic<int> m_error { 0 };
    TcpSettings m_settings GUARDED_BY(m_lock);
    TcpHandshake m_handshake;
    Path m_path GUARDED_BY(m_lock);
    Checksum m_pseudo_header; // its constant part
    u32 m_mss GUARDED_BY(m_lock) { 536 }; // payload of a full segment, options taken off

    // Sending.
    u32 m_snd_una GUARDED_BY(m_lock) { 0 };
    u32 m_snd_nxt GUARDED_BY(m_lock) { 0 };
    u32 m_snd_wnd GUARDED_BY(m_lock) { 0 };
    u32 m_snd_wl1 GUARDED_BY(m_lock) { 0 };
    u32 m_snd_wl2 GUARDED_BY(m_lock) { 0 };
    u32 m_max_window GUARDED_BY(m_lock) { 0 };
    u32 m_small_end GUARDED_BY(m_lock) { 0 }; // end of the last small segment sent (Minshall)
    PacketList m_sent GUARDED_BY(m_lock); // by sequence, note: Segment
    PacketList m_unsent GUARDED_BY(m_lock);
    u32 m_unsent_bytes GUARDED_BY(m_lock) { 0 };
    u32 m_send_memory GUARDED_BY(m_lock) { 0 };
    std::atomic<i32> m_send_room { 0 };
    bool m_fin_queued GUARDED_BY(m_lock) { false };
    bool m_fin_sent GUARDED_BY(m_lock) { false };
    bool m_more GUARDED_BY(m_lock) { false }; // MSG_MORE: more comes soon
    bool m_waits_for_device GUARDED_BY(m_lock) { false };
    bool m_small_writes GUARDED_BY(m_lock) { false }; // the last write was one
    bool m_push_held GUARDED_BY(m_lock) { false };

    // Congestion and recovery.
    CongestionControl m_congestion GUARDED_BY(m_lock);
    RttEstimator m_rtt GUARDED_BY(m_lock);
    Recovery m_recovery GUARDED_BY(m_lock) { Recovery::None };
    u32 m_recover GUARDED_BY(m_lock) { 0 };
    u32 m_sacked_bytes GUARDED_BY(m_lock) { 0 };
    u32 m_lost_bytes GUARDED_BY(m_lock) { 0 };
    u32 m_retransmitted_bytes GUARDED_BY(m_lock) { 0 };
    u32 m_doubtful_bytes GUARDED_BY(m_lock) { 0 }; // sent again in this recovery, and not shown to be needless
    u32 m_duplicate_acks GUARDED_BY(m_lock) { 0 };
    u32 m_prr_delivered GUARDED_BY(m_lock) { 0 };
    u32 m_prr_out GUARDED_BY(m_lock) { 0 };
    u32 m_prr_flight GUARDED_BY(m_lock) { 0 };
    bool m_window_limited GUARDED_BY(m_lock) { false };
    i64 m_rack_sent_at GUARDED_BY(m_lock) { 0 };
    u32 m_rack_end GUARDED_BY(m_lock) { 0 };
    i64 m_rack_rtt GUARDED_BY(m_lock) { 0 };
    u32 m_highest_sacked GUARDED_BY(m_lock) { 0 }; // or acknowledged: RACK.fack
    bool m_reordering_seen GUARDED_BY(m_lock) { false };
    u8 m_reorder_steps GUARDED_BY(m_lock) { 1 };
    u8 m_reorder_persists GUARDED_BY(m_lock) { 0 }; // recoveries until the steps are forgotten
    Nanoseconds m_reorder_grown_at GUARDED_BY(m_lock) {};
    bool m_probe_outstanding GUARDED_BY(m_lock) { false };
    u32 m_probe_end GUARDED_BY(m_lock) { 0 };
    bool m_probe_retransmitted GUARDED_BY(m_lock) { false };
    u8 m_retries GUARDED_BY(m_lock) { 0 };
    u8 m_probes GUARDED_BY(m_lock) { 0 };
    Nanoseconds m_stalled_since GUARDED_BY(m_lock) {};

    // Receiving.
    u32 m_rcv_nxt GUARDED_BY(m_lock) { 0 };
    u32 m_rcv_edge GUARDED_BY(m_lock) { 0 }; // right end of the window last advertised
    u32 m_last_ack_sent GUARDED_BY(m_lock) { 0 };
    Nanoseconds m_recent_timestamp_at GUARDED_BY(m_lock) {};
    PacketList m_receive_queue GUARDED_BY(m_lock);
    std::atomic<u32> m_receive_bytes { 0 };
    u32 m_receive_memory GUARDED_BY(m_lock) { 0 };
    PacketList m_out_of_order GUARDED_BY(m_lock); // by sequence, note: Arrival
    u32 m_out_of_order_memory GUARDED_BY(m_lock) { 0 };
    std::array<SequenceRange, 3> m_recent_sacks GUARDED_BY(m_lock) {};
    SequenceRange m_duplicate_sack GUARDED_BY(m_lock) {};
    bool m_fin_pending GUARDED_BY(m_lock) { false }; // a FIN arrived out of order
    u32 m_fin_sequence GUARDED_BY(m_lock) { 0 };
    std::atomic<bool> m_fin_received { false };
    std::atomic<bool> m_receive_shut { false };
    bool m_reading GUARDED_BY(m_lock) { false };
    u32 m_unacknowledged GUARDED_BY(m_lock) { 0 }; // received bytes not yet acknowledged
    u32 m_receive_mss GUARDED_BY(m_lock) { 536 };
    bool m_ack_now GUARDED_BY(m_lock) { false };
    u8 m_quick_acks GUARDED_BY(m_lock) { 0 };
    u32 m_tune_start_sequence GUARDED_BY(m_lock) { 0 };
    Nanoseconds m_tune_start GUARDED_BY(m_lock) {};
    u64 m_tune_copied GUARDED_BY(m_lock) { 0 };
    Nanoseconds m_challenge_at GUARDED_BY(m_lock) {};

    // Times; max() is never.
    RetransmitKind m_retransmit_kind GUARDED_BY(m_lock) { RetransmitKind::None };
    Nanoseconds m_retransmit_at GUARDED_BY(m_lock) { Nanoseconds::max() };
    Nanoseconds m_reorder_at GUARDED_BY(m_lock) { Nanoseconds::max() };
    Nanoseconds m_delayed_ack_at GUARDED_BY(m_lock) { Nanoseconds::max() };
    Nanoseconds m_keepalive_at GUARDED_BY(m_lock) { Nanoseconds::max() };
    Nanoseconds m_linger_at GUARDED_BY(m_lock) { Nanoseconds::max() };
    Nanoseconds m_cork_at GUARDED_BY(m_lock) { Nanoseconds::max() };
    Nanoseconds m_armed_for GUARDED_BY(m_lock) { Nanoseconds::max() };
    Nanoseconds m_last_sent GUARDED_BY(m_lock) {};
    Nanoseconds m_last_received GUARDED_BY(m_lock) {};
    Nanoseconds m_last_data_received GUARDED_BY(m_lock) {};

    // TCP_INFO.
    u64 m_total_sent GUARDED_BY(m_lock) { 0 };
    u64 m_total_acknowledged GUARDED_BY(m_lock) { 0 };
    u64 m_total_received GUARDED_BY(m_lock) { 0 };
    u32 m_segments_out GUARDED_BY(m_lock) { 0 };
    u32 m_segments_in GUARDED_BY(m_lock) { 0 };
    u32 m_total_retransmissions GUARDED_BY(m_lock) { 0 };
};

} // namespace eremite::net
