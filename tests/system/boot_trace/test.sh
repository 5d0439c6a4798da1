# The stages of the boot: each takes some cycles, they add up; times in microseconds where the image has a clock.
# timeout: 180
fail() { echo "FAIL: $*"; cat out; exit 1; }
trace() { "$EREMITE" run --arch "$ARCH" --isolation "$ISOLATION" --boot-trace "$1" </dev/null 2>/dev/null | tr -d '\r' >out; }

# adds_up FIELD: fields of a line are "boot:", cycles since entry, cycles of the stage, the stage.
adds_up() {
    awk '$1 == "boot:" && $2 ~ /^[0-9]+$/ {
        if ($3 <= 0 || $2 - before != $3) { print "wrong: " $0; wrong = 1 }
        before = $2
        stages++
    }
    END { exit wrong || stages < 6 }' out
}
trace "$EREMITE_ROOT/examples/hello-c" || fail "status $?"
grep -q '^Hello from C' out || fail "the program did not run"
adds_up || fail "the stages don't add up"
time= # whether the image has a clock is a matter of the architecture
[ "$ARCH" = x86_64 ] || time='(, [0-9]+ us)?'
for stage in 'early boot' memory 'clock, interrupts' 'scheduler, address space' standard_files "application's stack"; do
    grep -qE "^boot: +[0-9]+ +[0-9]+  $stage$time\$" out || fail "no stage $stage, or with a time that nobody knows"
done

printf '#include <stdio.h>\n#include <time.h>\nint main(void) { return printf("%%d\\n", time(NULL) > 1) < 0; }\n' >now.c
trace now.c || fail "status $?"
adds_up || fail "the stages don't add up"
microseconds=$(sed -nE "s/^boot: .*, ([0-9]+) us\$/\1/p" out | awk '{ sum += $1 } END { print sum }')
[ "$microseconds" -gt 100 ] && [ "$microseconds" -lt 60000000 ] || fail "they take $microseconds microseconds"
