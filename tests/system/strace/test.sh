# System calls printed as strace does, by an image that was built for it; one that wasn't says so.
# timeout: 240
fail() { echo "FAIL: $*"; exit 1; }
hello=$EREMITE_ROOT/examples/hello-c

"$EREMITE" run --arch "$ARCH" --isolation "$ISOLATION" --strace "$hello" </dev/null >out 2>&1 || fail "status $? with --strace"
grep -q 'Hello from C' out || fail "the program said nothing"
grep -qE '^writev\(1, 0x[0-9a-f]+, 2\) += [0-9]+' out || fail "no writev"
grep -qF 'exit_group(0) = ?' out || fail "no exit_group"

image=$("$EREMITE" build --arch "$ARCH" --isolation "$ISOLATION" "$hello")
"$EREMITE" run --isolation "$ISOLATION" --append strace "$image" </dev/null >out 2>&1 || fail "status $? without"
grep -q 'strace is not in this image: build it with --strace' out || fail "no word of its absence"
grep -q writev out && fail "traced without strace"
exit 0
