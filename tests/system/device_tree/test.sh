#!/usr/bin/env bash
# Device trees that are cut off, go in circles or lie about memory, handed to an image as x0 has it: each ends the boot with
# one clear line, or boots. They are files of the fuzzer's corpus. (QEMU's own -dtb would mend them.)
# arch: aarch64
# timeout: 300
set -euo pipefail

"$EREMITE" build --arch aarch64 "$EREMITE_ROOT/examples/hello-c" >/dev/null
corpus=$EREMITE_ROOT/tests/fuzz/corpus/device_tree
cd "$TEST_DIR"
"$EREMITE" image --arch aarch64 --format raw --output hello.image "$EREMITE_ROOT/examples/hello-c" >/dev/null
failures=0

# says PATTERN MEMORY TREE: at 0x40200000 two instructions, which pass the tree at 0x42000000 to the image at 0x40400000.
says() {
    local said
    said=$(timeout 20 qemu-system-aarch64 -M virt,gic-version=3 -cpu cortex-a72 -display none -m "$2" -serial stdio -no-reboot \
        -device loader,addr=0x40200000,data=0x1407ffffd2a84000,data-len=8 -device loader,addr=0x40200000,cpu-num=0 \
        -device loader,file=hello.image,addr=0x40400000,force-raw=on \
        -device loader,file="$3",addr=0x42000000,force-raw=on </dev/null 2>&1) || true
    grep -qE -- "$1" <<<"$said" || {
        printf "FAILED: %s with %s: no '%s' in: %s\n" "$3" "$2" "$1" "$said"
        failures=$((failures + 1))
    }
}

says 'Hello from C\.' 128M "$corpus/virt.dtb"
says 'error: device tree: it lists memory that is not there' 64M "$corpus/virt.dtb"
says 'error: device tree: .*cut off' 128M "$corpus/truncated.dtb"
says 'error: device tree: interrupt controllers refer to one another in a circle' 128M "$corpus/virt_cyclic.dtb"
says 'error: device tree: it lists no memory' 128M "$corpus/cyclic.dtb"
says 'error: device tree: .*memory' 128M "$corpus/lying_memory.dtb"
says 'error: device tree: two entries of memory overlap' 128M "$corpus/memory_overlaps.dtb"
says 'error: device tree: an entry of memory is malformed' 128M "$corpus/memory_wraps.dtb"
says 'error: device tree: it lists no memory' 128M "$corpus/ranges_cyclic.dtb"
head -c 4096 "$corpus/virt.dtb" >cut
says 'error: device tree: ' 128M cut
head -c 4096 /dev/zero >zeros
says 'error: device tree: there is none' 128M zeros
[ "$failures" = 0 ] && echo "bad device trees are told apart"
exit "$failures"
