#!/usr/bin/env bash
# A wire that loses 2 % of the frames, doubles 1 %, reorders 2 % and takes 20 ms each way: connections are opened and closed,
# and every byte of a transfer each way arrives as it should.
# timeout: 300
set -euo pipefail
source "$TEST_SOURCE/../network.sh"
build "$TEST_SOURCE/../connections/peer.c"
enter_network

clang-19 -O2 "$TEST_SOURCE/../connections/peer.c" -o peer
clang-19 -O2 -Wall -Wextra -Werror "$EREMITE_ROOT/bench/programs/relay.c" -o relay
ip tuntap del dev tap0 mode tap
ip tuntap add dev tap0 mode tap # without offloads: what passes are frames as on a wire
ip addr add 10.0.0.1/24 dev tap0
ip link set tap0 up
./relay tap0 7001 7002 loss=20 double=10 reorder=20 delay=20 seed=7 >relay.log 2>&1 &
relay=$!
trap 'end_guest; kill "$relay" 2>/dev/null || true' EXIT
: >console
"$EREMITE" run --arch "$ARCH" --isolation "$ISOLATION" --memory 64M --net none --timeout 200 --append "ip=$guest/24" \
    --qemu-args '-netdev socket,id=lossy,udp=127.0.0.1:7001,localaddr=127.0.0.1:7002 -device virtio-net-pci,netdev=lossy,romfile=' \
    "$TEST_SOURCE/../connections/peer.c" serve 9 </dev/null >console 2>&1 &
machine=$!
await_line serving
./peer check "$guest" 9 5 20 2097152 || fail "see above"
kill "$relay"
wait "$relay" || true
cat relay.log
lost=$(sed -n 's/.* frames, \([0-9]*\) lost.*/\1/p' relay.log)
[ "${lost:-0}" -gt 20 ] || fail "the wire lost only ${lost:-nothing}"
