# Files and names used at random beside a model of how they must look: natively on Linux, in memory, on a share and on disks
# with ext4, ext3 and ext2, which e2fsck then finds clean, and which are as they were at the next boot. STEPS: how long.
# timeout: 600
steps=${STEPS:-400}
fail() { echo "FAIL: $*"; exit 1; }
PATH=$PATH:/usr/sbin
command -v mke2fs >/dev/null && command -v e2fsck >/dev/null || { echo "e2fsprogs is missing"; exit 77; }

cc -O1 -w -o native "$TEST_SOURCE/exerciser.c" || clang-19 -O1 -w -o native "$TEST_SOURCE/exerciser.c"
mkdir linux folder
./native linux 1 "$steps" >output && ./native linux 1 0 check >>output || { cat output; fail "the test itself is wrong"; }

image=$("$EREMITE" build --arch "$ARCH" --isolation "$ISOLATION" --disk "$TEST_SOURCE/exerciser.c" | tail -n 1)
run() { # OPTION... -- FOLDER SEED STEPS [check]
    local options=()
    while [ "$1" != -- ]; do options+=("$1"); shift; done
    shift
    "$EREMITE" run --arch "$ARCH" --timeout 200 "${options[@]}" "$image" "$@" </dev/null >output 2>&1 ||
        { cat output; fail "${options[*]}: $*"; }
}

run -- /tmp 2 "$steps"
run --share "$PWD/folder:/mnt" -- /mnt 3 "$steps"
./native folder 3 0 check >output || { cat output; fail "the host sees another folder than the guest left"; }
for kind in ext4 ext3 ext2; do
    rm -f disk
    truncate -s 48M disk
    mke2fs -q -F -t $kind disk
    run --disk "$PWD/disk:/mnt" -- /mnt 4 "$steps"
    e2fsck -fn disk >fsck 2>&1 || { cat fsck; fail "$kind is not clean"; }
    run --disk "$PWD/disk:/mnt:ro" -- /mnt 4 0 check
done
