# The page tables of a running guest, read from outside: no page is writable and executable, by no two mappings of a frame
# either; with protection keys, nothing of the kernel's is under a key of the application's.
# arch: x86_64
# isolation: stack mpk
# timeout: 120

fail() { echo "FAIL: $*"; exit 1; }
clang-19 -O2 -Wall -Wextra -Werror "$TEST_SOURCE/walk.c" -o walk
program=$("$EREMITE" build --arch "$ARCH" --isolation "$ISOLATION" "$TEST_SOURCE/mappings.c" | tail -n 1)
for attempt in 1 2 3; do
    port=$((20000 + RANDOM % 20000))
    "$EREMITE" run --memory 32M --smp 2 --timeout 100 --qemu-args "-monitor tcp:127.0.0.1:$port,server=on,wait=off" \
        "$program" </dev/null >console 2>&1 &
    for ((i = 0; i < 300; i++)); do
        grep -q '^ready' console 2>/dev/null && break 2
        kill -0 $! 2>/dev/null || break
        sleep 0.2
    done
done
grep -q '^ready' console || { cat console; fail "it is not ready"; }
exec 3<>"/dev/tcp/127.0.0.1/$port"
printf 'stop\ninfo registers -a\npmemsave 0 0x2000000 "%s/memory"\nquit\n' "$PWD" >&3
cat <&3 >monitor || true
wait || true
roots=$(tr -d '\r' <monitor | sed -n 's/.*CR3=\([0-9a-f]*\).*/\1/p')
[ "$(echo "$roots" | wc -w)" = 2 ] || { cat monitor; fail "there is no CR3 of two processors"; }
for root in $roots; do
    ./walk memory "$ISOLATION" "$root" || fail "the tables at $root"
done
