# Disks that are full, and disks that fail: ENOSPC and EIO (EROFS, once the file system is given up) and nothing worse; what
# was written before is there, and e2fsck finds a full disk clean. Also files with locks, attributes and no names on a disk.
# timeout: 600
fail() { echo "FAIL: $*"; exit 1; }
PATH=$PATH:/usr/sbin
command -v mke2fs >/dev/null && command -v e2fsck >/dev/null || { echo "e2fsprogs is missing"; exit 77; }

build() { "$EREMITE" build --arch "$ARCH" --isolation "$ISOLATION" --disk "$1" | tail -n 1; }
image=$(build "$TEST_SOURCE/disk.c")

# new_disk KIND SIZE: what the options mean.
new_disk() {
    rm -f disk
    truncate -s "$2" disk
    mke2fs -q -F -t $1 disk
}
for kind in ext4 ext3 ext2; do
    new_disk $kind 12M
    "$EREMITE" run --arch "$ARCH" --timeout 200 --memory 128M --disk "$PWD/disk:/mnt" "$image" /mnt full </dev/null >output 2>&1 ||
        { cat output; fail "a full $kind"; }
    e2fsck -fn disk >fsck 2>&1 || { cat fsck output; fail "the full $kind is not clean"; }
done

new_disk ext4 48M
for name in special_files file_locks; do
    "$EREMITE" run --arch "$ARCH" --timeout 100 --disk "$PWD/disk:/mnt" "$(build "$EREMITE_ROOT/tests/guest/$name.c")" /mnt \
        </dev/null >output 2>&1 || { cat output; fail "$name on a disk"; }
    e2fsck -fn disk >fsck 2>&1 || { cat fsck; fail "the disk is not clean after $name"; }
done

# QEMU injects the errors: of reads or writes, of all from some point on, once each.
for event in read_aio write_aio flush_to_disk; do
    for sector in none 2 8000; do
        [ $event = flush_to_disk ] && [ $sector != none ] && continue
        new_disk ext4 16M
        {
            echo '[inject-error]'
            echo "event = \"$event\""
            echo 'errno = "5"'
            # From the device's first use on, but for the first requests, by which the file system is mounted.
            [ $sector = none ] && echo 'state = "2"' || echo "sector = \"$sector\""
            [ $sector = none ] || exit 0
            for ((state = 1; state < 2; state++)); do
                printf '[set-state]\nstate = "1"\nevent = "flush_to_disk"\nnew_state = "2"\n'
            done
        } >rules
        status=0
        "$EREMITE" run --arch "$ARCH" --timeout 100 --append mount=ext2:vda:/mnt --qemu-args \
            "-drive file=blkdebug:$PWD/rules:$PWD/disk,format=raw,if=none,id=bad -device virtio-blk-pci,drive=bad" \
            "$image" /mnt errors </dev/null >output 2>&1 || status=$?
        if [ $status = 124 ] || grep -q 'panic\|FAILED' output; then cat rules output; fail "errors of $event at $sector: $status"; fi
        said=$(tr -d '\r' <output | sed -n 's/^errors: //p')
        echo "$event, sector $sector: ${said:-not mounted}"
    done
done
