#!/usr/bin/env bash
# iperf3 from its source package in the guest, as server and as client, with the distribution's iperf3 at the other end: one
# stream, eight, the other way, and UDP.
# timeout: 400
set -euo pipefail
source "$TEST_SOURCE/../network.sh"
command -v iperf3 >/dev/null || skip "iperf3 is not installed"
build iperf3
enter_network

# measured MINIMUM: the report on standard input says that so many MB arrived.
measured() {
    python3 -c '
import json, sys
report = json.load(sys.stdin)
assert "error" not in report, report["error"]
end = report["end"]
received = end.get("sum_received") or end["sum"]
megabytes = received["bytes"] / 1e6
print("%.1f MB, %.1f MB/s" % (megabytes, received["bits_per_second"] / 8e6))
lost = end.get("sum", {}).get("lost_percent")
assert lost is None or lost < 95, "%s %% lost" % lost
sys.exit(0 if megabytes >= float(sys.argv[1]) else 1)' "$1" || fail "less than $1 MB in ${2:-}"
}
run() { # WHAT MINIMUM ARGUMENTS: to the guest's server
    local what=$1 minimum=$2
    shift 2
    echo -n "$what: "
    timeout 60 iperf3 -J -c "$guest" "$@" >report || { cat report; fail "$what: status $?"; }
    measured "$minimum" "$what" <report
}
start_guest iperf3 -s --forceflush
await_line 'Server listening on 5201'
run "to the guest" 5 -t 1
run "from the guest" 5 -t 1 -R
run "to the guest, 8 streams" 5 -t 1 -P 8
run "from the guest, 8 streams" 5 -t 1 -P 8 -R
# A busy machine loses datagrams: nothing here says how many may be.
run "UDP to the guest" 0.05 -t 1 -u -b 4M
run "UDP from the guest" 0.05 -t 1 -u -b 4M -R
end_guest

for mode in "" "-R" "-P 8" "-u -b 4M"; do
    iperf3 -s -1 >server.log 2>&1 &
    server=$!
    for ((i = 0; i < 50; i++)); do
        if ss -ltn | grep -q :5201; then break; fi
        sleep 0.1
    done
    # shellcheck disable=SC2086 # words
    start_guest iperf3 -c 10.0.0.1 -t 1 $mode
    finish_guest || { tail -5 console server.log; fail "the guest as client $mode: status $?"; }
    wait "$server" || fail "the server at the other end: status $?"
    echo "the guest as client $mode: $(grep receiver console | tail -1 | tr -d '\r')"
    grep -q 'iperf Done' console || fail "the guest as client $mode did not end well"
done
