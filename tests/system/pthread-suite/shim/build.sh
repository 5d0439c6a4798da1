#!/usr/bin/env bash
# build.sh SUITE OUT COMPILER [NAME...]: builds these tests of the suite, or all: OUT/NAME each, OUT/NAME.log where one
# does not build.
set -eu
suite=$1
out=$2
compiler=$3
shift 3
shim=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$out/objects" "$out/support" "$suite/include-few"

# Headers of the suite's own C library that its tests use for little.
for header in array_length.h intprops.h; do cp "$suite/include/$header" "$suite/include-few/"; done
: > "$suite/include-few/config.h"
for macro in PUSH POP IGNORE IGNORE_Os; do
    case $macro in IGNORE*) parameters='(a, b)' ;; *) parameters= ;; esac
    echo "#define DIAG_${macro}_NEEDS_COMMENT$parameters"
done > "$suite/include-few/libc-diag.h"

export OUT=$out COMPILER=$compiler
flags=(-std=gnu11 -O1 -w -Wno-implicit-function-declaration -Wno-int-conversion -Wno-incompatible-pointer-types -pthread
    -D_GNU_SOURCE -D_LARGEFILE64_SOURCE -D_ISOMAC=1 -DNOCANCEL=1 -D__time_t=time_t -Dloff_t=off_t
    -DPTHREAD_MUTEX_ROBUST_NP=PTHREAD_MUTEX_ROBUST -DPTHREAD_MUTEX_STALLED_NP=PTHREAD_MUTEX_STALLED
    -I "$shim" -I "$shim/support" -I "$suite" -iquote "$suite/nptl" -I "$suite/include-few" -include "$shim/before.h")

support() { "$COMPILER" "${@:2}" -c "$1" -o "$OUT/support/$(basename "$1" .c).o" 2> /dev/null || true; }
one() {
    local name object
    name=$(basename "$1" .c)
    object=$OUT/objects/$name.o
    { "$COMPILER" "${@:2}" -c "$1" -o "$object" && "$COMPILER" $LINK "$object" "$OUT/support/support.a" -o "$OUT/$name"; } \
        > "$OUT/$name.log" 2>&1 && rm "$OUT/$name.log"
    return 0
}
export -f support one
export LINK="${LINK:-} -pthread"

"$compiler" "${flags[@]}" -c "$shim/support.c" -o "$out/support/shim.o"
for pattern in 'xpthread_*' 'xthr*' 'xsig*' 'xclock_*' 'timespec*' delayed_exit xmmap xmunmap xmprotect xsysconf xwrite xread \
    xopen xclose xpipe xdup2 xsetitimer xpoll 'xsched*' 'support_stack*' 'support_set_small*' xposix_memalign; do
    find "$suite/support" -name "$pattern.c"
done | xargs -P "${JOBS:-2}" -I {} bash -c 'support "$@"' _ {} "${flags[@]}"
rm -f "$out/support/support.a"
llvm-ar-19 rc "$out/support/support.a" "$out"/support/*.o

if [ $# -gt 0 ]; then printf "$suite/sysdeps/pthread/%s.c\n" "$@"; else printf '%s\n' "$suite"/sysdeps/pthread/tst-*.c; fi |
    xargs -P "${JOBS:-2}" -I {} bash -c 'one "$@"' _ {} "${flags[@]}"
