#!/usr/bin/env bash
# Address spaces of 39 bits: everything lies where those reach, other processors start, and mapping memory works as ever.
# arch: aarch64
# timeout: 300
set -euo pipefail

fail() { echo "FAILED: $*"; exit 1; }
run() { timeout 100 "$EREMITE" run --arch "$ARCH" --isolation "$ISOLATION" --append address-bits=39 "$@" </dev/null | tr -d '\r'; }

run "$EREMITE_ROOT/tests/system/aslr/addresses.c" >first || fail "addresses: status $?"
run "$EREMITE_ROOT/tests/system/aslr/addresses.c" >second || fail "addresses: status $?"
for what in main heap mapping stack; do
    for file in first second; do
        address=$(awk -v what=$what '$1 == what { print $2 }' $file)
        [ "$((address))" -gt 65536 ] && [ "$((address >> 39))" = 0 ] || fail "$what is at $address"
    done
    [ "$(grep "^$what " first)" != "$(grep "^$what " second)" ] || fail "$what is at the same place twice"
done
run --smp 4 --memory 3G "$EREMITE_ROOT/tests/guest/threads.c" || fail "threads: status $?"
run --machine virt,virtualization=on --smp 2 --cpu cortex-a53 "$EREMITE_ROOT/tests/guest/threads.c" || fail "threads: status $?"
run "$EREMITE_ROOT/tests/guest/memory.c" || fail "memory: status $?"
run --loader "$EREMITE_ROOT/examples/hello-c" || fail "by the loader: status $?"
echo "39 bits do"
