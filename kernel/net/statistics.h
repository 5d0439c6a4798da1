// Counters of the protocols, under the names of /proc/net/snmp and /proc/net/netstat.
#pragma once

#include "base/types.h"
#include <atomic>

namespace eremite::net {

class Counter {
public:
    void add(u64 n = 1) { m_value.store(m_value.load(std::memory_order_relaxed) + n, std::memory_order_relaxed); }
    u64 value() const { return m_value.load(std::memory_order_relaxed); }

private:
    std::atomic<u64> m_value { 0 };
};

/// Not exact when processors count at once: that would cost a locked instruction per packet.
struct Statistics {
    Counter ip_in_receives, ip_in_header_errors, ip_in_address_errors, ip_in_unknown_protocols, ip_in_discards,
        ip_in_delivers, ip_out_requests, ip_out_discards, ip_out_no_routes, ip_reassembly_timeouts,
        ip_reassembly_required, ip_reassembly_ok, ip_reassembly_failed, ip_fragments_ok, ip_fragments_created;
    Counter icmp_in_messages, icmp_in_errors, icmp_out_messages;
    Counter udp_in_datagrams, udp_no_ports, udp_in_errors, udp_out_datagrams, udp_receive_buffer_errors,
        udp_checksum_errors;
    Counter tcp_active_opens, tcp_passive_opens, tcp_attempt_fails, tcp_established_resets, tcp_in_segments,
        tcp_out_segments, tcp_retransmitted_segments, tcp_in_errors, tcp_out_resets;
    Counter tcp_syn_cookies_sent, tcp_syn_cookies_received, tcp_syn_cookies_failed, tcp_listen_overflows,
        tcp_listen_drops, tcp_paws_rejected, tcp_fast_retransmits, tcp_timeouts, tcp_loss_probes, tcp_challenge_acks,
        tcp_out_of_order, tcp_pruned, tcp_keepalives, tcp_memory_aborts, tcp_time_wait, tcp_delayed_acks,
        tcp_sacks_received, tcp_undone_recoveries;
    std::atomic<i64> tcp_established { 0 };
};

} // namespace eremite::net
