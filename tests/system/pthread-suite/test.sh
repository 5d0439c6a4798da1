# Tests of POSIX threads from the GNU C library's source package (its sysdeps/pthread), built for Eremite and run, each in a
# machine of its own; results.txt says which do not pass, and docs/pthread-suite.md why. A few of each kind here; all 222 that
# build, some 20 minutes, by
#   EREMITE_PTHREAD_SUITE=all ./eremite test system/x86_64/pthread-suite
# timeout: 3000
names="tst-barrier3 tst-cancel2 tst-cancel11 tst-cleanup1 tst-cnd-broadcast tst-cond1 tst-cond20 tst-exit1 tst-join1 tst-key1
    tst-kill2 tst-mutex1 tst-mutex3 tst-once1 tst-robust1 tst-rwlock5 tst-sem1 tst-signal4 tst-spin1 tst-tsd1"
[ "${EREMITE_PTHREAD_SUITE:-}" != all ] || names=

archive=$("$EREMITE_ROOT/libc/fetch.sh" glibc) || { echo "the suite's source package is not to be had"; exit 77; }
mkdir suite out
tar -xf "$archive" -C suite --strip-components=1 --wildcards '*/nptl/tst*' '*/support/*' '*/sysdeps/pthread/*' \
    '*/include/array_length.h' '*/include/intprops.h' '*/posix/tst-vfork*'
"$EREMITE" build --arch "$ARCH" --isolation "$ISOLATION" > /dev/null
# shellcheck disable=SC2086 # words
bash "$TEST_SOURCE/shim/build.sh" suite out "$EREMITE_ROOT/build/$ARCH/sdk/bin/eremite-clang" $names
for name in $names; do [ -e "out/$name" ] || { cat "out/$name.log"; echo "FAIL: $name does not build"; exit 1; }; done
bash "$TEST_SOURCE/run.sh" out results "$EREMITE" run --arch "$ARCH" --smp 2 --memory 256M --timeout 60

awk '{ print $2 }' results | sort | uniq -c
awk 'NR == FNR { if (NF > 1 && $1 !~ /^#/) expected[$1] = $2; next }
    { want = $1 in expected ? expected[$1] : "pass" }
    $2 != want { print "FAIL: " $1 ": " $2 ", results.txt says " want; bad = 1 }
    END { exit bad }' "$TEST_SOURCE/results.txt" results || {
    for name in $(awk '$2 != "pass" { print $1 }' results); do echo "--- $name"; tail -n 5 "out/$name.output"; done
    exit 1
}
