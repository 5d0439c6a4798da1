#!/usr/bin/env bash
# The example HTTP server, published on a port of this machine: its page, its state, an unknown page, and one hundred
# connections one after another.
# timeout: 240
set -euo pipefail

# A free port: each architecture's run of this test takes one of its own.
port=$((20000 + $$ % 20000))
"$EREMITE" run --arch "$ARCH" --timeout 120 -p "127.0.0.1:$port:80" "$TEST_SOURCE/../../../examples/http" </dev/null >console 2>&1 &
machine=$!
trap 'kill "$machine" 2>/dev/null || true; wait "$machine" 2>/dev/null || true' EXIT

# get PATH: what the server answers.
get() {
    exec 3<>"/dev/tcp/127.0.0.1/$port" || return 1
    printf 'GET %s HTTP/1.0\r\n\r\n' "$1" >&3
    timeout 20 cat <&3
    exec 3<&- 3>&-
}
for ((i = 0; i < 300; i++)); do
    grep -q 'serving on port 80' console && break
    kill -0 "$machine" || break
    sleep 0.2
done
grep -q 'serving on port 80' console || { cat console; echo "FAIL: it does not serve"; exit 1; }

get / | tr -d '\r' >page
grep -qx 'HTTP/1.1 200 OK' page || { cat page; echo "FAIL: no page"; exit 1; }
grep -q 'Hello from a machine of one program' page || { echo "FAIL: another page"; exit 1; }
get /nothing | grep -q '404 Not Found' || { echo "FAIL: a page that is not there"; exit 1; }
for ((i = 0; i < 100; i++)); do get / >/dev/null; done
get /status | tr -d '\r' | tail -1 | tee status
python3 -c 'import json; state = json.load(open("status")); assert state["requests"] >= 103 and state["accepted"] >= 103, state'
echo "served"
