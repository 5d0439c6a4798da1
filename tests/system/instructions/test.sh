# What is promised in instructions, counted exactly: from the kernel's entry to main, and a system call that does nothing.
# isolation: none stack
# also: none
# timeout: 180
fail() { echo "FAIL: $*"; exit 1; }
clang-19 -O2 -fPIC -shared "$EREMITE_ROOT/bench/plugin/insn_count.c" -o counter.so
run() { "$EREMITE" run --arch "$ARCH" --isolation "$ISOLATION" --memory 64M --qemu-args "-plugin $PWD/counter.so,out=$PWD/marks" "$1" </dev/null >out 2>&1 || fail "status $?: $(cat out)"; }
between() { awk -v from="$1" -v to="$2" '$1 == "mark" { at[$2] = $3 } END { print at[to] - at[from] }' marks; }

# The kernel's entry and main have marks of their own.
run "$EREMITE_ROOT/examples/hello-c"
boot=$(between 1 2)
[ "$boot" -gt 0 ] && [ "$boot" -le 200000 ] || fail "$boot instructions from the entry to main: at most 200000"

cat >null.c <<'C'
#include "mark.h"
#include <unistd.h>
#define TEN(x) x x x x x x x x x x
int main(void)
{
    getppid();
    MARK(32);
    TEN(getppid();)
    MARK(33);
    return 0;
}
C
"$("$EREMITE" build --arch "$ARCH" --isolation "$ISOLATION")/bin/eremite-clang" -O2 -I"$EREMITE_ROOT/bench/programs" null.c -o null
run ./null
# In tenths: ten calls, and the mark at their end.
null=$(($(between 32 33) - 1))
case $ARCH-$ISOLATION in
*-none) most=80 ;;
x86_64-*) most=300 ;;
aarch64-*) most=400 ;;
esac
[ "$null" -gt 0 ] && [ "$null" -le $most ] || fail "ten times getppid in $null instructions: at most $most"
echo "isolation $ISOLATION: $boot instructions from the entry to main, $((null / 10)).$((null % 10)) a system call that does nothing"
