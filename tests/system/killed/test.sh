# SQLite in the midst of transactions while the machine is killed (SIGKILL to QEMU), again and again, on a folder of the
# host by virtio-fs and on an ext4 disk: the database stays intact, and what was committed is there. The host's own sqlite3
# and e2fsck judge. Each time the guest goes on with what the last one left. KILLS: how often (default 3; 50 by hand).
# synchronous=EXTRA: with less, SQLite doesn't wait for the removal of its journal, by which it commits, to be on the disk.
# timeout: 900
kills=${KILLS:-3}
fail() { echo "FAIL: $*"; exit 1; }

for tool in sqlite3 mke2fs e2fsck debugfs; do
    command -v $tool >/dev/null || PATH=$PATH:/usr/sbin
    command -v $tool >/dev/null || { echo "$tool is missing"; exit 77; }
done

image=$("$EREMITE" build --arch "$ARCH" --isolation "$ISOLATION" --disk sqlite | tail -n 1)

# Transactions that each say, once they are committed, which one it was.
mkdir root
{
    echo "PRAGMA synchronous=EXTRA;"
    echo "CREATE TABLE IF NOT EXISTS t(tx INTEGER, n INTEGER, text TEXT);"
    echo "CREATE INDEX IF NOT EXISTS by_text ON t(text);"
    for ((i = 0; i < 3000; i++)); do
        echo "BEGIN;"
        echo "INSERT INTO t WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 20)
            SELECT (SELECT coalesce(max(tx), 0) + 1 FROM t), i, hex(randomblob(40)) FROM c;"
        echo "UPDATE t SET text = hex(randomblob(30)) WHERE tx = (SELECT max(tx) / 2 FROM t);"
        echo "COMMIT;"
        echo "SELECT 'committed ' || max(tx) FROM t;"
    done
} >root/transactions.sql

# killed_after SECONDS OPTION...: boots, and kills the machine so long after the first commit. Sets $committed.
killed_after() {
    local seconds=$1 waited
    shift
    rm -f qemu.pid output
    "$EREMITE" run --arch "$ARCH" --isolation "$ISOLATION" --memory 128M --timeout 120 --env HOME=/ --root root \
        --qemu-args "-pidfile $PWD/qemu.pid" "$@" "$image" /mnt/database "PRAGMA journal_mode=$mode" \
        ".read /transactions.sql" </dev/null >output 2>errors &
    local tool=$!
    for ((waited = 0; waited < 1000; waited++)); do
        grep -q '^committed' output 2>/dev/null && break
        kill -0 $tool 2>/dev/null || { cat output errors; fail "the guest ended by itself"; }
        sleep 0.1
    done
    sleep "$seconds"
    kill -9 "$(cat qemu.pid)" || fail "the machine had ended before it was killed"
    wait $tool || true
    committed=$(tr -d '\r' <output | sed -n 's/^committed \([0-9]*\)$/\1/p' | tail -n 1)
    if [ -z "$committed" ] || grep -qi 'error' output; then cat output errors; fail "nothing was committed, or an error"; fi
}

# check_database FILE
check_database() {
    local whole found
    whole=$(sqlite3 "$1" "PRAGMA integrity_check")
    [ "$whole" = ok ] || fail "integrity_check says: $whole"
    found=$(sqlite3 "$1" "SELECT max(tx), count(DISTINCT tx), count(*) = 20 * count(DISTINCT tx) FROM t")
    IFS='|' read -r last transactions complete <<<"$found"
    [ "$last" -ge "$committed" ] || fail "transaction $committed was committed, $last is the last there"
    [ "$transactions" = "$last" ] && [ "$complete" = 1 ] || fail "transactions are missing: $found"
}

mkdir folder
truncate -s 128M disk
mke2fs -q -F -t ext4 disk
total=0
for ((kill = 1; kill <= kills; kill++)); do
    pause=0.$((RANDOM % 10))$((RANDOM % 10))
    mode=DELETE
    [ $((kill % 3)) = 2 ] && mode=WAL
    rm -f folder/database*
    killed_after $pause --share "$PWD/folder:/mnt"
    check_database folder/database
    total=$((total + committed))

    killed_after $pause --disk "$PWD/disk:/mnt"
    rm -rf copy* dumped
    cp disk copy
    e2fsck -p copy >fsck 2>&1 || { [ $? -le 1 ] || { cat fsck; fail "e2fsck -p could not mend the disk"; }; }
    e2fsck -fn copy >fsck 2>&1 || { cat fsck; fail "the disk is not clean"; }
    mkdir dumped
    debugfs -R "rdump / dumped" copy >/dev/null 2>&1
    check_database dumped/database
    [ "$last" -le $((committed + 1)) ] || fail "more transactions than were made"
done
echo "$kills kills each, $total transactions on the share, $committed on the disk"
