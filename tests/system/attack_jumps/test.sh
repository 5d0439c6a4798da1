# Jumps to each instruction of the kernel's that changes rights, in several ways: none leaves them open.
# arch: x86_64
# timeout: 500

fail() { echo "FAIL: $*"; exit 1; }
program=$("$EREMITE" build --isolation mpk "$TEST_SOURCE/jump.c") || exit 1
count=0
for ((n = 0; n < 40; n++)); do
    for way in plain step entry; do
        # Whatever it ends with: a signal that it can take, the report and the end, but not hanging.
        status=0
        timeout 100 "$EREMITE" run --timeout 60 "$program" "$n" "$way" < /dev/null > out 2>&1 || status=$?
        if [ $status = 3 ] && grep -q 'no such place' out; then break 2; fi
        echo "place $n, $way: status $status: $(grep -E -m1 'panic|isolation:|closed|error' out | tr -d '\r' || true)"
        if [ $status = 124 ]; then cat out; fail "it hangs"; fi
        grep -q 'jumping to' out || { cat out; fail "it did not run"; }
        if grep -q OPEN out; then cat out; fail "keys are open"; fi
        count=$((count + 1))
    done
done
[ $count -ge 15 ] || fail "only $count jumps were tried"
echo "$count jumps"
