#!/usr/bin/env bash
# Ten thousand connections opened and closed in a row, a thousand at once, in 64 MiB: memory is as before, no socket is left
# (/proc/net/tcp); then 1 GiB each way, every byte looked at.
# timeout: 400
set -euo pipefail
source "$TEST_SOURCE/../network.sh"
build "$TEST_SOURCE/peer.c"
enter_network

clang-19 -O2 -Wall -Wextra -Werror "$TEST_SOURCE/peer.c" -o peer
guest_timeout=300
start_guest "$TEST_SOURCE/peer.c" serve 9
await_line serving
# The other architecture shows the same with less of it: it is emulated more slowly.
if [ "$ARCH" = x86_64 ]; then amount=(10000 1000 1073741824); else amount=(3000 1000 134217728); fi
./peer check "$guest" 9 "${amount[@]}" || fail "see above"
finish_guest || fail "the server ended with $?"
