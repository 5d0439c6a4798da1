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

# What nobody synced is on the disk some seconds later all the same.
new_disk ext4 16M
"$EREMITE" run --arch "$ARCH" --timeout 100 --disk "$PWD/disk:/mnt" --qemu-args "-pidfile $PWD/qemu.pid" "$image" /mnt unsynced \
    </dev/null >output 2>&1 &
tool=$!
until grep -q '^written' output; do
    kill -0 $tool 2>/dev/null || { cat output; fail "the guest ended by itself"; }
    sleep 0.1
done
for ((waited = 0; waited < 60; waited++)); do
    sleep 1
    # What the disk holds if the machine were switched off now.
    cp disk copy
    e2fsck -fy copy >fsck 2>&1 || true
    debugfs -R "dump /unsynced found" copy >/dev/null 2>&1
    [ "$(stat -c %s found 2>/dev/null)" != 65536 ] || break
done
kill -9 "$(cat qemu.pid)"
wait $tool || true
[ $waited -lt 60 ] || fail "what was not synced never reached the disk"
e2fsck -fy disk >fsck 2>&1 || [ $? = 1 ] || { cat fsck; fail "the disk of the killed machine can't be mended"; }
debugfs -R "dump /unsynced found" disk >/dev/null 2>&1
[ "$(stat -c %s found)" = 65536 ] || fail "what was not synced is lost"
echo "unsynced data were on the disk after $((waited + 1)) s"

# Told what is free, the disk gives the host its place back.
new_disk ext4 96M
blocks_of_host() { stat -c %b disk; }
for mode in :discard ''; do
    before=$(blocks_of_host)
    "$EREMITE" run --arch "$ARCH" --timeout 100 --disk "$PWD/disk:/mnt$mode" "$image" /mnt removed </dev/null >output 2>&1 ||
        { cat output; fail "removing with '$mode'"; }
    e2fsck -fn disk >fsck 2>&1 || { cat fsck; fail "the disk is not clean after discarding"; }
    grown=$((($(blocks_of_host) - before) / 2))
    echo "32 MiB written and removed with '$mode': the image grew by $grown KiB"
    if [ -n "$mode" ]; then [ $grown -lt 16384 ] || fail "the image keeps what is free"; fi
done

# QEMU injects the errors: into each request of a kind, or one of them, once so many commits (two flushes each) are done.
for rule in 'read_aio 1 off' 'write_aio 1 off' 'flush_to_disk 1 off' 'write_aio 3 on' 'write_aio 6 on' 'flush_to_disk 5 on'; do
    read -r event commits once <<<"$rule"
    new_disk ext4 16M
    {
        for ((state = 1; state <= 2 * commits; state++)); do
            printf '[set-state]\nstate = "%s"\nevent = "flush_to_disk"\nnew_state = "%s"\n' $state $((state + 1))
        done
        printf '[inject-error]\nevent = "%s"\nerrno = "5"\nonce = "%s"\nstate = "%s"\n' $event $once $state
    } >rules
    status=0
    "$EREMITE" run --arch "$ARCH" --timeout 100 --append mount=ext2:vda:/mnt --qemu-args \
        "-drive file=blkdebug:$PWD/rules:$PWD/disk,format=raw,if=none,id=bad -device virtio-blk-pci,drive=bad" \
        "$image" /mnt errors </dev/null >output 2>&1 || status=$?
    if [ $status = 124 ] || grep -q 'panic\|FAILED' output; then cat rules output; fail "errors of $rule: $status"; fi
    said=$(tr -d '\r' <output | sed -n 's/^errors: //p')
    [ -n "$said" ] || grep -q 'mount=.* failed' output || { cat output; fail "errors of $rule: $status"; }
    echo "$rule: ${said:-not mounted}"
done
