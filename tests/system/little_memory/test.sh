# Little memory: the least in which the hello world in C boots and prints; below that one line says so, by the guest where it
# has memory to say it in, and by the tool before.
# timeout: 180
fail() { echo "FAIL: $*"; cat out; exit 1; }
hello=$("$EREMITE" build --arch "$ARCH" --isolation "$ISOLATION" "$EREMITE_ROOT/examples/hello-c")

case $ARCH in
x86_64) least=3M machines="pc q35 microvm" ;;
aarch64) least=8M machines=virt ;;
esac
for machine in $machines; do
    "$EREMITE" run --arch "$ARCH" --machine $machine --memory $least "$hello" </dev/null >out 2>&1 || fail "$machine with $least: status $?"
    grep -q '^Hello from C' out || fail "$machine with $least"
done
# With 1 MiB no part of the image has memory: the tool doesn't start such a machine.
for memory in 1M 1024K 2M; do
    status=0
    "$EREMITE" run --arch "$ARCH" --memory $memory "$hello" </dev/null >out 2>&1 || status=$?
    [ $status = 1 ] && [ "$(wc -l <out)" = 1 ] && grep -q "^eremite: --memory $memory: too little memory: .* alone reaches up to [0-9]* KiB" out ||
        fail "the tool with $memory: status $status"
done
[ "$ARCH" = x86_64 ] || exit 0

# A little more, and QEMU without the tool: the guest says it. (Stripped, or QEMU complains of what it would not load.)
llvm-strip-19 -o stripped "$hello"
for machine in $machines; do
    for memory in 1280K 2M; do
        status=0
        timeout 20 qemu-system-x86_64 -M $machine -cpu max -m $memory -display none -no-reboot -serial stdio \
            -device isa-debug-exit,iobase=0xf4,iosize=4 -kernel stripped </dev/null >out 2>&1 || status=$?
        [ $status = 13 ] && grep -q 'eremite: error: too little memory: it ends before the image does' out ||
            fail "$machine with $memory: status $status"
    done
done
