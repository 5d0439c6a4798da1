# The console on virtio-console, in both directions, on each machine: what is written, input byte for byte and its end, keys
# that are typed, and the exit status. Without the driver, or without the device, one line says so.
# timeout: 300
fail() { echo "FAIL: $*"; exit 1; }

cat >upper.c <<'C'
#include <stdio.h>
#include <sys/ioctl.h>

int main(int argc, char** argv)
{
    unsigned long count = 0, sum = 0;
    int byte;
    puts(argc > 1 ? argv[1] : "begin");
    fflush(stdout);
    while (argc < 3 && (byte = getchar()) != EOF) {
        sum = (sum * 31 + (unsigned)byte) & 0xffffffff;
        ++count;
    }
    printf("%lu bytes, %lu\n", count, sum);
    return 201;
}
C
clang-19 -O1 upper.c -o upper
# Every byte there is, and more of them than any buffer on the way holds.
python3 -c 'import sys; sys.stdout.buffer.write(bytes(range(256)) * 80)' >bytes

image=$("$EREMITE" build --arch "$ARCH" --isolation "$ISOLATION" --console virtio upper.c)
without=$("$EREMITE" build --arch "$ARCH" --isolation "$ISOLATION" "$EREMITE_ROOT/examples/hello-c")
case $ARCH in
x86_64) machines="pc q35 microvm" ;;
aarch64) machines=virt ;;
esac
run() { "$EREMITE" run --arch "$ARCH" --isolation "$ISOLATION" --timeout 60 --machine "$machine" "$@" 2>&1; }

for machine in $machines; do
    for input in bytes /dev/null; do
        ./upper one <$input >expected || true
        status=0
        run --console virtio upper.c one <$input >out || status=$?
        [ $status = 201 ] || fail "$machine, $input: status $status, $(cat out)"
        grep -av '^eremite: ' out | diff - expected || fail "$machine, $input: something else was read or written"
    done

    # Typed: what comes is echoed, a line at a time, and Ctrl-D at its beginning is the end.
    status=0
    printf 'abc\r\004' | run --console virtio --append console=typed upper.c one >out || status=$?
    [ $status = 201 ] && grep -q '^abc' out && grep -q '4 bytes, ' out || fail "$machine, typed: status $status, $(cat out)"

    # That this device is what is written to: it has an output of its own here.
    device=virtio-serial-device
    case $machine in pc | q35) device=virtio-serial-pci,disable-legacy=on ;; esac
    status=0
    run --qemu-args "-device $device -chardev file,id=virtual,path=virtual -device virtconsole,chardev=virtual" \
        "$image" elsewhere unread </dev/null >out || status=$?
    [ $status = 201 ] || fail "$machine, apart: status $status, $(cat out)"
    grep -q '^elsewhere' virtual || fail "$machine: nothing was written to the device"
    grep -q '^elsewhere' out && fail "$machine: it was written to the serial port"

    # Absence of the device, and of the driver.
    status=0
    run --append virtio-console "$image" one </dev/null >out || status=$?
    [ $status = 201 ] && grep -q '^one' out && [ "$(grep -c 'virtio-console: this machine has none' out)" = 1 ] ||
        fail "$machine, no device: status $status, $(cat out)"
    status=0
    run --console virtio "$without" </dev/null >out || status=$?
    [ $status = 0 ] && grep -q '^Hello' out && [ "$(grep -c 'virtio-console is not in this image: build it with --console=virtio' out)" = 1 ] ||
        fail "$machine, no driver: status $status, $(cat out)"
done
