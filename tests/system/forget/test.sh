# Files looked up and removed by the thousand through virtio-fs leave nothing behind, neither in the guest's memory nor in
# the daemon's: what is looked up is forgotten. ROUNDS: how many (default 20000; a million by hand).
# timeout: 900
rounds=${ROUNDS:-20000}
fail() { echo "FAIL: $*"; exit 1; }

mkdir folder
image=${IMAGE:-$("$EREMITE" build --arch "$ARCH" --isolation "$ISOLATION" "$TEST_SOURCE/forget.c" | tail -n 1)}
"$EREMITE" run --arch "$ARCH" --share "$PWD/folder:/mnt" "$image" /mnt "$rounds" 3 </dev/null >output 2>errors &
tool=$!
wait_for() {
    until grep -q "$1" output; do
        kill -0 $tool 2>/dev/null || { cat output errors; fail "the guest ended too early"; }
        sleep 0.05
    done
}
# The daemon, which is a child of the tool's, and the children that it works in. In KiB.
memory_of_daemon() {
    local pid sum=0
    for pid in $(pgrep -f "virtiofsd.*source=$PWD/folder"); do
        sum=$((sum + $(awk '$1 == "VmRSS:" { print $2 }' "/proc/$pid/status")))
    done
    [ $sum -gt 0 ] || fail "there is no daemon"
    echo $sum
}
wait_for '^warm'
before=$(memory_of_daemon)
wait_for '^grown'
after=$(memory_of_daemon)
wait $tool
grown=$(tr -d '\r' <output | sed -n 's/^grown by \([0-9]*\) KiB$/\1/p')
echo "$rounds rounds: the guest grew by $grown KiB, the daemon by $((after - before)) KiB"
# An inode each would be hundreds of bytes.
[ "$grown" -le 1024 ] || fail "the guest's memory grows"
[ $((after - before)) -le 1024 ] || fail "the daemon's memory grows"
