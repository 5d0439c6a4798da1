#!/usr/bin/env bash
# What the network can do to a guest: floods of SYNs, resets, tiny segments, fragments and nonsense, while it goes on serving;
# a link that goes down and comes up again; afterwards no more memory and sockets are held than a flood
# may have.
# timeout: 300
set -euo pipefail
source "$TEST_SOURCE/../network.sh"
build "$TEST_SOURCE/../connections/peer.c"
enter_network

clang-19 -O2 "$TEST_SOURCE/../connections/peer.c" -o peer
guest_timeout=200
start_guest --qemu-args "-qmp unix:$PWD/qmp,server=on,wait=off" "$TEST_SOURCE/../connections/peer.c" serve 9
await_line serving
look() { timeout 60 ./peer look "$guest" 9 || fail "it does not serve ($1)"; }
look first >/dev/null
read -r before _ <<<"$(look before)"
mac=$(ip neigh show "$guest" dev tap0 | sed -n 's/.*lladdr \([^ ]*\).*/\1/p')
[ -n "$mac" ] || fail "the guest has no hardware address"

timeout 120 python3 "$TEST_SOURCE/flood.py" tap0 "$guest" "$mac" 1500 >flood.log 2>&1 &
flood=$!
served=0
while kill -0 "$flood" 2>/dev/null; do
    look "during the flood" >/dev/null
    served=$((served + 1))
done
wait "$flood" || { cat flood.log; fail "the flood: status $?"; }
[ "$served" -gt 0 ] || fail "nothing was served during the flood"

link() {
    python3 - "$1" <<'PY' || fail "QEMU did not switch the link $1"
import json, socket, sys
monitor = socket.socket(socket.AF_UNIX)
monitor.connect("qmp")
stream = monitor.makefile("rw")
stream.readline()
for command in ({"execute": "qmp_capabilities"},
                {"execute": "set_link", "arguments": {"name": "net0", "up": sys.argv[1] == "up"}}):
    stream.write(json.dumps(command))
    stream.flush()
    while True:
        answer = json.loads(stream.readline())
        if "event" not in answer:
            break
    assert "return" in answer, answer
PY
}
link down
if timeout 3 ./peer look "$guest" 9 >/dev/null 2>&1; then fail "it serves without a link"; fi
link up
look "after the link was down" >/dev/null

# Half-open connections and fragments are kept for a minute; they are bounded in number.
read -r after sockets <<<"$(look after)"
echo "$(cat flood.log), served $served times meanwhile; $before KiB free before, $after after, $sockets sockets"
[ "$sockets" -le 1100 ] || fail "$sockets sockets are held by the flood"
[ "$after" -gt $((before - 8192)) ] || fail "the flood holds too much memory"
