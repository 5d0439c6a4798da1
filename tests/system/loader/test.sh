#!/usr/bin/env bash
# The separate loader, started by QEMU's own command line: an application runs, and each kind of bad file gets one clear
# line.
# timeout: 300
set -euo pipefail

"$EREMITE" build --arch "$ARCH" "$TEST_SOURCE/../../../examples/hello-c" >/dev/null
build=$EREMITE_ROOT/build/$ARCH
loader=$build/loader/eremite-loader
hello=$(find "$build/apps" -type f -name hello-c | head -n 1)
cd "$TEST_DIR"
failures=0

case $ARCH in
x86_64)
    machine=(qemu-system-x86_64 -cpu qemu64,apic,fsgsbase,rdtscp,xsave,fxsr)
    little=2M            # too little for the application
    other_machine=b7     # the lower byte of e_machine, of the other architecture
    foreign=/bin/true ;;
aarch64)
    machine=(qemu-system-aarch64 -M virt -cpu cortex-a72)
    little=7M
    other_machine=3e
    foreign=foreign
    printf 'int main(void) { return 0; }\n' >"$TEST_DIR/foreign.c"
    clang-19 --target=aarch64-linux-gnu -fuse-ld=lld -nostdlib -static-pie -Wl,-e,main "$TEST_DIR/foreign.c" -o "$TEST_DIR/foreign" ;;
esac

# boots MEMORY APP: QEMU as the documentation has it; what the console said is in out.
boots() {
    timeout 60 "${machine[@]}" -display none -smp 1 -m "$1" -serial stdio -kernel "$loader" ${2:+-initrd "$2"} \
        -no-reboot </dev/null >out 2>&1 || true
}
says() {
    local pattern=$1
    shift
    boots "$@"
    grep -qE -- "$pattern" out || {
        echo "FAILED: no '$pattern' from: $* (said: $(cat out))"
        failures=$((failures + 1))
    }
}

says 'Hello from C\.' 64M "$hello"
says 'there is no application' 64M
echo 'just text' >text
says 'no ELF file' 64M text
head -c 20000 "$hello" >truncated
says 'truncated' 64M truncated
# Without its symbols, or QEMU refuses before we can.
llvm-strip-19 -o stripped "$hello"
says 'too little memory' $little stripped
says 'no Eremite kernel' 64M $foreign

# A byte of the header or of the note, changed. patch NAME OFFSET BYTE
patch() {
    cp "$hello" "$1"
    printf "%b" "\\x$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}
patch other 18 $other_machine
says 'another architecture' 64M other
note=$(grep -abo 'Eremite' "$hello" | head -n 1 | cut -d: -f1)
patch older $((note + 8)) 00
says 'older than this loader' 64M older
patch newer $((note + 8)) 07
says 'newer than this loader' 64M newer
[ "$failures" = 0 ] && echo "the loader tells what is wrong"
exit "$failures"
