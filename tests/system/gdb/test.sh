# gdb, started as `./eremite run --gdb` says: stops in main and in the kernel, tells callers, arguments and lines, and lets the
# program go on to its end.
# arch: x86_64
# timeout: 180
fail() { echo "FAIL: $*"; cat session output errors 2>/dev/null; exit 1; }

cat >work.c <<'C'
#include <stdio.h>
__attribute__((noinline)) int work(int n) { printf("working on %d\n", n); return n + 1; }
int main(int argc, char** argv) { (void)argv; return work(argc + 40); }
C
image=$("$EREMITE" build --arch "$ARCH" --isolation "$ISOLATION" work.c)
for attempt in 1 2 3; do # a port may be taken
    port=$((20000 + RANDOM % 20000))
    "$EREMITE" run --gdb=$port --timeout 120 "$image" argument </dev/null >output 2>errors &
    machine=$!
    for ((i = 0; i < 300; i++)); do
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break 2
        kill -0 $machine 2>/dev/null || break
        sleep 0.1
    done
done
command=$(sed -n 's/^eremite: waiting for gdb: //p' errors)
[[ $command == gdb\ * ]] || fail "it does not say how to start gdb"
[ ! -s output ] || fail "it runs already"
eval "timeout 100 $command -q -nx -batch -ex 'break main' -ex continue -ex backtrace -ex 'print argc' -ex 'break sys_writev' \
    -ex continue -ex backtrace -ex 'info symbol \$pc' -ex delete -ex continue" >session 2>&1 || true # at the end the connection is closed, which gdb calls an error
status=0
wait $machine || status=$?
[ $status = 43 ] && grep -q 'working on 42' output || fail "status $status"
said() { grep -qE -- "$1" session || fail "gdb did not say '$1'"; }
said '^Breakpoint 1, main \(argc=2, argv='
said '^#0 +main .* at .*work\.c:3'
said '^\$1 = 2$'
said '^Breakpoint 2, eremite::sys_writev \(fd=1'
said '^#[0-9]+ .* in work \(.* at .*work\.c:2'
said '^eremite::sys_writev'
