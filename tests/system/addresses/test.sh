#!/usr/bin/env bash
# How a guest gets its address: both forms of ip=, a gateway outside of the subnet, no DHCP server (a message, after the time
# that was set); the device's MTU, 1280 and 9000; and what passes, as captures on the tap and by --pcap have it: sums, options
# and window scale, read by a reader of ours.
# timeout: 300
set -euo pipefail
source "$TEST_SOURCE/../network.sh"
command -v tcpdump >/dev/null || skip "tcpdump is not installed"
build "$TEST_SOURCE/report.c"
enter_network

# Frames as on a wire: no offloads, or their sums would still be to be made.
ip tuntap del dev tap0 mode tap
ip tuntap add dev tap0 mode tap
ip addr add 10.0.0.1/24 dev tap0
ip addr add 10.9.9.1/32 dev tap0
ip addr add 192.0.2.1/32 dev lo
ip link set tap0 up
python3 -c '
import socket, threading
server = socket.create_server(("0.0.0.0", 9), backlog=16)
def serve(client):
    while client.recv(65536):
        pass
    client.sendall(b"hello\n")
    client.close()
while True:
    threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()' &
server=$!
trap 'end_guest; kill "$server" 2>/dev/null || true' EXIT

says() { tr -d '\r' <console | grep -qx -- "$1" || fail "it did not say '$1'"; }
# report OPTIONS... -- HOST:PORT...: one boot.
report() {
    local options=()
    while [ "$1" != -- ]; do options+=("$1"); shift; done
    shift
    start_guest "${options[@]}" "$TEST_SOURCE/report.c" "$@"
    finish_guest || fail "status $?"
    says 'port in use: Address in use'
}

kernel_options='ip=10.0.0.2/24 gateway=10.0.0.1'
# By the packet, not by the full buffer: what it has not read when it is ended is lost. With room for all there is.
: >tcpdump.log
tcpdump -i tap0 --immediate-mode -s 9100 -B 16384 -U -w tap.pcap 2>tcpdump.log &
capture=$!
for ((i = 0; i < 50; i++)); do grep -q listening tcpdump.log && break; sleep 0.1; done
report --pcap own.pcap -- 10.0.0.1:9 192.0.2.1:9
says 'address eth0 10.0.0.2 255.255.255.0'
says 'mtu 1500'
says '10.0.0.1: sent 65536, got hello'
says '192.0.2.1: sent 65536, got hello'
sleep 0.3
kill "$capture"
wait "$capture" || true
python3 "$TEST_SOURCE/capture.py" 10.0.0.2 tap.pcap own.pcap >read || fail "the capture is not as it should be"
grep -q '^mss 1460 longest 1448 ' read || fail "the capture says: $(cat read)"

kernel_options='ip=10.0.0.2::10.0.0.1:255.255.255.0:name:eth0:off'
ip link set tap0 mtu 9000
report --pcap own.pcap --qemu-args '-global virtio-net-device.host_mtu=9000' -- 192.0.2.1:9
says 'address eth0 10.0.0.2 255.255.255.0'
says 'mtu 9000'
says '192.0.2.1: sent 65536, got hello'
grep -q '^mss 8960 longest 8948 ' <(python3 "$TEST_SOURCE/capture.py" 10.0.0.2 own.pcap) || fail "segments do not fill an MTU of 9000"

# The gateway is reached on the link, though no subnet says so.
ip link set tap0 mtu 1280
ip route add 10.77.0.2/32 dev tap0
kernel_options='ip=10.77.0.2/32 gateway=10.9.9.1'
report --pcap own.pcap --qemu-args '-global virtio-net-device.host_mtu=1280' -- 10.9.9.1:9 192.0.2.1:9
says 'address eth0 10.77.0.2 255.255.255.255'
says 'mtu 1280'
says '10.9.9.1: sent 65536, got hello'
says '192.0.2.1: sent 65536, got hello'
grep -q '^mss 1240 longest 1228 ' <(python3 "$TEST_SOURCE/capture.py" 10.77.0.2 own.pcap) || fail "segments do not keep to an MTU of 1280"

kernel_options='dhcp-timeout=1'
report --
grep -q 'no DHCP server answered on eth0 within 1 s' console || fail "no word about the missing DHCP server"
echo "addresses, routes, MTUs and captures: $(cat read)"
