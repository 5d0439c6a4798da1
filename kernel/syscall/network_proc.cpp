// /proc/net/{dev,snmp,netstat,route,tcp,tcp6,udp,udp6}: what the stack counts and which sockets there are, as Linux 6.1
// writes it (proc(5)).
#include "base/component.h"
#include "base/format.h"
#include "fs/procfs.h"
#include "net/stack.h"
#include "net/tcp/socket.h"
#include "net/udp_socket.h"
#include "syscall/network.h"

namespace eremite {

namespace {

using namespace net;

/// A number in hexadecimal with capitals, as these files have it.
struct Hex {
    Hex(u64 value, usize digits)
        : length(digits)
    {
        for (usize i = 0; i < digits; ++i)
            text[digits - 1 - i] = std::string_view("0123456789ABCDEF")[value >> (4 * i) & 15];
    }
    operator FormatArgument() const { return FormatArgument(std::string_view(text.data(), length)); }
    std::array<char, 16> text {};
    usize length;
};

void write_address(TextSink& sink, IpAddress address, u16 port, bool v4)
{
    // Each 32-bit word as it lies in memory.
    auto word = [&](u32 value) { format_to(sink, "{}", Hex(std::byteswap(value), 8)); };
    if (v4) {
        word(address.is_v4() ? address.as_v4() : 0);
    } else {
        for (u64 half : { address.high(), address.low() }) {
            word(static_cast<u32>(half >> 32));
            word(static_cast<u32>(half));
        }
    }
    format_to(sink, ":{}", Hex(port, 4));
}

struct Row {
    Endpoint local {};
    Endpoint remote {};
    u8 state { 0 };
    u32 to_send { 0 };
    u32 to_read { 0 };
    bool v6 { false };
};

constexpr std::string_view k_socket_heading_end = " st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode";

void write_rows(TextSink& sink, std::span<const Row> rows, bool v4)
{
    usize number = 0;
    for (const Row& row : rows) {
        if (row.v6 == v4)
            continue;
        format_to(sink, "{:4}: ", number++);
        write_address(sink, row.local.address, row.local.port, v4);
        sink.write(" ");
        write_address(sink, row.remote.address, row.remote.port, v4);
        format_to(sink, " {} {}:{} 00:00000000 00000000 {:5} {:8} 0\n", Hex(row.state, 2), Hex(row.to_send, 8),
            Hex(row.to_read, 8), 0, 0);
    }
}

void write_tcp(TextSink& sink, bool v4)
{
    constexpr u8 syn_received = 3;
    constexpr u8 time_wait = 6;
    constexpr u8 listening = 10;
    sink.write(v4 ? "  sl  local_address rem_address  "
                  : "  sl  local_address                         remote_address                       ");
    sink.write(k_socket_heading_end);
    sink.write("\n");
    Vector<Row> rows;
    // What memory doesn't suffice for isn't shown.
    auto add = [&](Row row) { (void)rows.try_append(row).has_value(); };
    Tcp& tcp = kernel_stack().tcp();
    tcp.listeners().for_each([&](TcpListener& listener) {
        add({ .local = listener.local(),
            .state = listening,
            .to_read = listener.queued(),
            .v6 = listener.local().address.is_v6() });
    });
    // A connection's own lock is never taken under the table's.
    Vector<RefPtr<TcpEntry>> entries;
    tcp.table().for_each([&](TcpEntry& entry) { return entries.try_append(RefPtr<TcpEntry>(&entry)).has_value(); });
    for (auto& entry : entries) {
        const TcpKey& key = entry->key();
        Row row {
            .local = { key.local, key.local_port }, .remote = { key.remote, key.remote_port }, .v6 = key.local.is_v6()
        };
        switch (entry->kind()) {
        case TcpEntry::Kind::Connection: {
            auto& connection = static_cast<TcpConnection&>(*entry);
            row.state = static_cast<u8>(connection.state());
            row.to_read = static_cast<u32>(connection.bytes_to_read());
            row.to_send = static_cast<u32>(connection.bytes_to_send());
            break;
        }
        case TcpEntry::Kind::Request:
            row.state = syn_received;
            break;
        case TcpEntry::Kind::TimeWait:
            row.state = time_wait;
            break;
        }
        add(row);
    }
    write_rows(sink, rows.span(), v4);
}

void write_udp(TextSink& sink, bool v4)
{
    constexpr u8 connected = 1;
    constexpr u8 unconnected = 7;
    sink.write(v4 ? "  sl  local_address rem_address  "
                  : "  sl  local_address                         remote_address                       ");
    sink.write(k_socket_heading_end);
    sink.write("\n");
    Vector<Row> rows;
    kernel_stack().udp().for_each([&](UdpSocket& socket) {
        auto [local, remote] = socket.endpoints();
        return rows
            .try_append({ .local = local,
                .remote = remote,
                .state = remote.port != 0 ? connected : unconnected,
                .to_read = static_cast<u32>(socket.queued()),
                .v6 = socket.domain() == abi::k_af_inet6 })
            .has_value();
    });
    write_rows(sink, rows.span(), v4);
}

void write_devices(TextSink& sink)
{
    sink.write("Inter-|   Receive                                                |  Transmit\n"
               " face |bytes    packets errs drop fifo frame compressed multicast|"
               "bytes    packets errs drop fifo colls carrier compressed\n");
    for (Interface* interface : kernel_stack().interfaces()) {
        NetDevice& device = interface->device();
        auto& counted = device.statistics();
        auto value = [](const std::atomic<u64>& counter) { return counter.load(std::memory_order_relaxed); };
        const std::string_view name = device.name();
        sink.write(std::string_view("      ").substr(std::min<usize>(name.size(), 6)));
        format_to(sink, "{}: {:7} {:7} {:4} {:4} {:4} {:5} {:10} {:9} ", name, value(counted.received_bytes),
            value(counted.received_packets), value(counted.receive_errors), value(counted.receive_dropped), 0, 0, 0, 0);
        format_to(sink, "{:8} {:7} {:4} {:4} {:4} {:5} {:7} {:10}\n", value(counted.transmitted_bytes),
            value(counted.transmitted_packets), value(counted.transmit_errors), value(counted.transmit_dropped), 0, 0,
            0, 0);
    }
}

/// A protocol's line of names, and its line of values.
struct Column {
    std::string_view name;
    u64 value;
};
void write_columns(TextSink& sink, std::string_view protocol, std::initializer_list<Column> columns)
{
    format_to(sink, "{}:", protocol);
    for (const Column& column : columns)
        format_to(sink, " {}", column.name);
    format_to(sink, "\n{}:", protocol);
    for (const Column& column : columns)
        format_to(sink, " {}", column.value);
    sink.write("\n");
}

void write_snmp(TextSink& sink)
{
    auto& s = kernel_stack().statistics();
    write_columns(sink, "Ip",
        { { "Forwarding", 2 }, { "DefaultTTL", 64 }, { "InReceives", s.ip_in_receives.value() },
            { "InHdrErrors", s.ip_in_header_errors.value() }, { "InAddrErrors", s.ip_in_address_errors.value() },
            { "ForwDatagrams", 0 }, { "InUnknownProtos", s.ip_in_unknown_protocols.value() },
            { "InDiscards", s.ip_in_discards.value() }, { "InDelivers", s.ip_in_delivers.value() },
            { "OutRequests", s.ip_out_requests.value() }, { "OutDiscards", s.ip_out_discards.value() },
            { "OutNoRoutes", s.ip_out_no_routes.value() }, { "ReasmTimeout", s.ip_reassembly_timeouts.value() },
            { "ReasmReqds", s.ip_reassembly_required.value() }, { "ReasmOKs", s.ip_reassembly_ok.value() },
            { "ReasmFails", s.ip_reassembly_failed.value() }, { "FragOKs", s.ip_fragments_ok.value() },
            { "FragFails", 0 }, { "FragCreates", s.ip_fragments_created.value() } });
    write_columns(sink, "Icmp",
        { { "InMsgs", s.icmp_in_messages.value() }, { "InErrors", s.icmp_in_errors.value() },
            { "OutMsgs", s.icmp_out_messages.value() } });
    write_columns(sink, "Tcp",
        { { "RtoAlgorithm", 1 }, { "RtoMin", static_cast<u64>(RttEstimator::k_min_timeout.milliseconds()) },
            { "RtoMax", static_cast<u64>(RttEstimator::k_max_timeout.milliseconds()) },
            { "ActiveOpens", s.tcp_active_opens.value() }, { "PassiveOpens", s.tcp_passive_opens.value() },
            { "AttemptFails", s.tcp_attempt_fails.value() }, { "EstabResets", s.tcp_established_resets.value() },
            { "CurrEstab", static_cast<u64>(std::max<i64>(s.tcp_established.load(std::memory_order_relaxed), 0)) },
            { "InSegs", s.tcp_in_segments.value() }, { "OutSegs", s.tcp_out_segments.value() },
            { "RetransSegs", s.tcp_retransmitted_segments.value() }, { "InErrs", s.tcp_in_errors.value() },
            { "OutRsts", s.tcp_out_resets.value() } });
    write_columns(sink, "Udp",
        { { "InDatagrams", s.udp_in_datagrams.value() }, { "NoPorts", s.udp_no_ports.value() },
            { "InErrors", s.udp_in_errors.value() }, { "OutDatagrams", s.udp_out_datagrams.value() },
            { "RcvbufErrors", s.udp_receive_buffer_errors.value() }, { "SndbufErrors", 0 },
            { "InCsumErrors", s.udp_checksum_errors.value() } });
}

void write_netstat(TextSink& sink)
{
    auto& s = kernel_stack().statistics();
    write_columns(sink, "TcpExt",
        { { "SyncookiesSent", s.tcp_syn_cookies_sent.value() },
            { "SyncookiesRecv", s.tcp_syn_cookies_received.value() },
            { "SyncookiesFailed", s.tcp_syn_cookies_failed.value() }, { "TW", s.tcp_time_wait.value() },
            { "PAWSEstab", s.tcp_paws_rejected.value() }, { "DelayedACKs", s.tcp_delayed_acks.value() },
            { "ListenOverflows", s.tcp_listen_overflows.value() }, { "ListenDrops", s.tcp_listen_drops.value() },
            { "TCPFastRetrans", s.tcp_fast_retransmits.value() }, { "TCPTimeouts", s.tcp_timeouts.value() },
            { "TCPFullUndo", s.tcp_undone_recoveries.value() }, { "TCPLossProbes", s.tcp_loss_probes.value() },
            { "TCPChallengeACK", s.tcp_challenge_acks.value() }, { "TCPOFOQueue", s.tcp_out_of_order.value() },
            { "OfoPruned", s.tcp_pruned.value() }, { "TCPKeepAlive", s.tcp_keepalives.value() },
            { "TCPAbortOnMemory", s.tcp_memory_aborts.value() } });
}

void write_routes(TextSink& sink)
{
    sink.write("Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n");
    std::array<Route, 64> routes;
    const usize count = kernel_stack().routes().snapshot(routes);
    for (const Route& route : std::span(routes).first(std::min(count, routes.size()))) {
        if (!route.network.is_v4() || !route.interface || route.interface == &kernel_stack().loopback())
            continue;
        constexpr u32 up = 1;
        constexpr u32 through_gateway = 2;
        constexpr u32 host = 4;
        const u32 mask = route.prefix == 0 ? 0 : ~0u << (32 - route.prefix);
        const u32 flags = up | (route.has_gateway() ? through_gateway : 0) | (route.prefix == 32 ? host : 0);
        format_to(sink, "{}\t{}\t{}\t{}\t0\t0\t{}\t{}\t0\t0\t0\n", route.interface->device().name(),
            Hex(std::byteswap(route.network.as_v4()), 8),
            Hex(route.has_gateway() ? std::byteswap(route.gateway.as_v4()) : 0, 8), Hex(flags, 4), route.metric,
            Hex(std::byteswap(mask), 8));
    }
}

constinit ProcFile s_proc_files[] {
    { "net/dev", write_devices },
    { "net/snmp", write_snmp },
    { "net/netstat", write_netstat },
    { "net/route", write_routes },
    { "net/tcp", [](TextSink& sink) { write_tcp(sink, true); } },
    { "net/tcp6", [](TextSink& sink) { write_tcp(sink, false); } },
    { "net/udp", [](TextSink& sink) { write_udp(sink, true); } },
    { "net/udp6", [](TextSink& sink) { write_udp(sink, false); } },
};

Result<> register_files()
{
    for (ProcFile& file : s_proc_files)
        register_proc_file(file);
    return {};
}

} // namespace

} // namespace eremite

// Before the root file system is made, in the stage after this.
ER_COMPONENT(network_proc_files, eremite::Stage::Device, eremite::register_files);
