# Standard input that is no terminal reaches the program byte for byte, and so does its end; longer than any queue on the
# way, and of bytes that a terminal would take for keys.
# timeout: 240
fail() { echo "FAIL: $*"; exit 1; }
cat >count.c <<'C'
#include <stdio.h>
int main(void)
{
    unsigned long count = 0, sum = 0;
    int byte;
    while ((byte = getchar()) != EOF) {
        sum = (sum * 31 + (unsigned)byte) & 0xffffffff;
        ++count;
    }
    printf("%lu bytes, %lu\n", count, sum);
    return 7;
}
C
clang-19 -O1 count.c -o count
image=$("$EREMITE" build --arch "$ARCH" --isolation "$ISOLATION" count.c)
run() { "$EREMITE" run --isolation "$ISOLATION" --timeout 60 "$@" "$image"; }

awk 'BEGIN { srand(3); for (i = 0; i < 30000; i++) printf "%c", int(rand() * 255) + 1 }' >bytes
printf '\020\004\003\020\020\004\r\n\032' >>bytes
for input in bytes /dev/null; do
    ./count <$input >expected || true
    status=0
    run <$input >out || status=$?
    [ $status = 7 ] || fail "$input: status $status"
    tr -d '\r' <out | diff expected - || fail "$input arrived as something else"
done
status=0
{ echo one; sleep 1; echo two; } | run >out || status=$?
[ $status = 7 ] && grep -q '^8 bytes' out || fail "a pipe: status $status, $(cat out)"
