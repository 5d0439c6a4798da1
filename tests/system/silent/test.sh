# A virtio-fs daemon that hangs (SIGSTOP): what the guest asks of it fails with EIO after fuse-timeout, with one message, and
# nothing hangs; when it goes on, its late answers harm nobody, and the share works again.
# timeout: 600
fail() { echo "FAIL: $*"; cat output errors; exit 1; }

mkdir folder
head -c 200000 /dev/zero | tr '\0' x >folder/data
image=$("$EREMITE" build --arch "$ARCH" --isolation "$ISOLATION" "$TEST_SOURCE/silent.c" | tail -n 1)
"$EREMITE" run --arch "$ARCH" --timeout 200 --append fuse-timeout=2 --share "$PWD/folder:/mnt" "$image" \
    </dev/null >output 2>errors &
tool=$!
trap 'kill -CONT $daemons 2>/dev/null || true' EXIT
daemons=
wait_for() {
    until grep -q "^$1" output; do
        kill -0 $tool 2>/dev/null || fail "the guest ended too early"
        sleep 0.05
    done
}
wait_for stop
# The daemon works in a child.
daemons=$(pgrep -f "virtiofsd.*source=$PWD/folder" | tr '\n' ' ')
[ -n "$daemons" ] || fail "there is no daemon"
kill -STOP $daemons
wait_for continue
kill -CONT $daemons
wait $tool || fail "the guest says $?"
grep -q '^done' output || fail "it was not done"
[ "$(grep -c 'has not answered for 2 s' output)" = 1 ] || fail "there is no message, or there are many"
grep -q 'the daemon answers again' output || fail "it does not say that the daemon is back"
[ "$(head -c 5 folder/data)" = found ] || fail "what was written afterwards is not there"
echo "a daemon that hangs gave EIO, and served again when it went on"
