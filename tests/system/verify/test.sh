# The verifier of images: finds key-changing instructions at every byte offset, takes out those that are there by chance
# without changing what the program does, and refuses those that are there on purpose.
# isolation: stack
# arch: x86_64
# timeout: 300

fail() { echo "FAIL: $*"; exit 1; }
"$EREMITE" build > sdk
clang=$(cat sdk)/bin/eremite-clang
link() {
    "$clang" -O2 -g "$TEST_SOURCE/$1.c" -o "$1" -Wl,--defsym=__eremite_mend_room=2048 -Wl,--emit-relocs "-Wl,-Map=$1.map"
}

echo "# by chance"
link chance
"$EREMITE" inspect --verify chance > before && fail "nothing was found"
for name in constant wide two compare distances table exchanged displaced constants target by_memory; do
    grep -qE "in $name\+.*NOT ALLOWED" before || { cat before; fail "nothing was found in $name"; }
done
"$EREMITE" run chance < /dev/null | tr -d '\r' | tee first
grep -q '^ef010f 1122ef010f334455 abcdef1 01 42 2fae0f 1$' first || fail "the program is wrong to begin with"
grep -q '^1 35 ef015e ef010f 110 7$' first || fail "the program is wrong to begin with"
"$EREMITE" build --verify chance
"$EREMITE" inspect --verify chance > after || { cat after; fail "something is left"; }
"$EREMITE" run chance < /dev/null | tr -d '\r' > second
cmp first second || { cat second; fail "it does not do what it did"; }
cp chance once
"$EREMITE" build --verify chance
cmp once chance || fail "what is good was changed"

echo "# on purpose"
link deliberate
"$EREMITE" build --verify deliberate > log 2>&1 && fail "WRPKRU in main() was accepted"
cat log
grep -q 'WRPKRU in main+.*only the kernel may use it' log || fail "the message says neither what nor where"

echo "# without room"
"$clang" -O2 "$TEST_SOURCE/chance.c" -o tight -Wl,--emit-relocs
"$EREMITE" build --verify tight > log 2>&1 && fail "accepted"
grep -q 'no room' log || { cat log; fail "the message does not say why"; }

echo "# nothing else is said"
"$clang" -O2 "$TEST_SOURCE/chance.c" -o quiet > log 2>&1
[ -s log ] && { cat log; fail "the linker warns"; }
exit 0
