# Disks whose ext4 was overwritten here and there, at random but the same each time: the guest says that it can't mount them,
# or gets errors, but neither panics nor hangs, and what isn't mounted is not written to. IMAGES: how many (default 6).
# timeout: 600
images=${IMAGES:-6}
fail() { echo "FAIL: $*"; exit 1; }
PATH=$PATH:/usr/sbin
command -v mke2fs >/dev/null && command -v debugfs >/dev/null || { echo "e2fsprogs is missing"; exit 77; }

program=${PROGRAM:-$("$EREMITE" build --arch "$ARCH" --isolation "$ISOLATION" --disk "$EREMITE_ROOT/tests/system/exerciser/exerciser.c" | tail -n 1)}
# Without checksums the damage is not noticed at once.
truncate -s 16M good
mke2fs -q -F -t ext4 -O "^metadata_csum" good
for ((i = 0; i < 60; i++)); do
    echo "$i" >text
    echo "write text file-$i"
    [ $((i % 6)) != 0 ] || echo "mkdir directory-$i"
done | sed 's/$//' >commands
debugfs -w -f commands good >/dev/null 2>&1

seed=${SEED:-1}
next() { seed=$(((seed * 1103515245 + 12345) % 2147483648)); }
mounted=0
for ((image = 0; image < images; image++)); do
    cp good bad
    for ((hit = 0; hit < 1 + image % 5 * 8; hit++)); do
        # The metadata are within the first MiB and a half.
        next
        offset=$((1024 + seed / 7 % 1500000))
        [ $((image % 3)) = 0 ] && offset=$((1024 + seed / 7 % 9000))
        next
        printf "$(printf '\\x%02x\\x%02x\\x%02x\\x%02x' $((seed >> 8 & 255)) $((seed >> 16 & 255)) 255 $((seed >> 12 & 255)))" |
            dd of=bad bs=1 seek=$offset conv=notrunc status=none
    done
    status=0
    "$EREMITE" run --arch "$ARCH" --timeout 60 --disk "$PWD/bad:/mnt" "$program" /mnt 1 60 </dev/null >output 2>&1 || status=$?
    if [ $status = 124 ] || grep -q 'panic' output; then
        cat output
        cp bad "${KEEP:-/tmp}/corrupt-$image" 2>/dev/null || true
        fail "image $image: status $status"
    fi
    grep -q 'mount=.* failed' output || mounted=$((mounted + 1))
done
echo "$images images, of which $mounted could be mounted"
