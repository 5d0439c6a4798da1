#!/usr/bin/env bash
# Programs that serve, the Linux guest and Eremite side by side: Redis under redis-benchmark with 1 and 16 requests at once,
# iperf3 with one stream and eight, and netbench over a lossy wire (bench/programs/relay.c: 2 % lost, 1 % doubled, 2 % reordered,
# 20 ms each way). In the Linux guest Redis and iperf3 are the distribution's. Boots alternate; medians, with half the range.
#   ./eremite bench servers [--rounds N] [--parts "redis iperf3 lossy"] [--docs]
# --docs: writes docs/server-performance.md.
set -euo pipefail
source "$EREMITE_ROOT/bench/common.sh"
source "$EREMITE_ROOT/bench/network.sh"

rounds=5
parts="redis iperf3 lossy"
docs=no
while [ $# -gt 0 ]; do
    case $1 in
    --rounds) rounds=$2; shift ;;
    --parts) parts=$2; shift ;;
    --docs) docs=yes ;;
    *) die "servers: unknown option $1: --rounds N, --parts PARTS, --docs" ;;
    esac
    shift
done

build() { "$EREMITE" build --arch x86_64 "$1" > "$out/servers.build.log" 2>&1 || die "$1 does not build: see $out/servers.build.log"; }

# Each part: what it needs, how its guest starts, and how it is measured: lines "GUEST<tab>WHAT<tab>UNIT<tab>FIGURE".
prepare_redis() {
    need redis-server redis-tools
    build redis
    programs+=(/usr/bin/redis-check-rdb:redis) # Debian's redis-server is a link to it, and asks for its name
}
start_redis() {
    port=6379
    start_guest "$1" "$2" redis "--save --protected-mode no"
}
measure_redis() {
    local pipeline requests=4000
    for pipeline in 1 16; do
        inside timeout 300 redis-benchmark -h "$guest" -t set,get -c 30 -P $pipeline -n $((requests * pipeline)) --csv \
            > "$out/servers.redis.csv" || die "redis-benchmark failed on $1"
        awk -F '"' -v guest="$1" -v pipeline=$pipeline '
            $2 == "SET" || $2 == "GET" { printf "%s\tRedis %s, pipeline %s\trequests/s\t%s\n", guest, $2, pipeline, $4 }
            ' "$out/servers.redis.csv"
    done
}

prepare_iperf3() {
    need iperf3
    build iperf3
    programs+=(/usr/bin/iperf3)
}
start_iperf3() {
    port=5201
    start_guest "$1" "$2" iperf3 -s
}
measure_iperf3() {
    local name options
    while read -r name options; do
        # shellcheck disable=SC2086 # words
        inside timeout 60 iperf3 -J -c "$guest" -t 2 $options > "$out/servers.iperf3.json" || die "iperf3 $options failed on $1"
        python3 -c '
import json, sys
end = json.load(open(sys.argv[1]))["end"]
print("%s\tiperf3, %s\tMB/s\t%.1f" % (sys.argv[2], sys.argv[3].replace("_", " "), end["sum_received"]["bits_per_second"] / 8e6))' \
            "$out/servers.iperf3.json" "$1" "$name"
    done <<'CASES'
to_the_guest
from_the_guest -R
to_the_guest,_8_streams -P 8
from_the_guest,_8_streams -P 8 -R
CASES
}

prepare_lossy() {
    build "$bench/programs/netbench.c"
    clang-19 -O2 "$bench/programs/netbench.c" -o "$out/netbench"
    clang-19 -O2 "$bench/programs/relay.c" -o "$out/relay"
    linux_program netbench
    programs+=("$out/linux/netbench")
}
start_lossy() {
    port=7000
    start_guest "$1" "$2" "$bench/programs/netbench.c" "serve $port"
}
measure_lossy() {
    inside timeout 300 "$out/netbench" run "$guest" "$port" -k SR -s 65536 -t 10 > "$out/servers.lossy.tsv" ||
        die "netbench failed on $1 over the lossy wire"
    awk -F '\t' -v guest="$1" '
        { printf "%s\tlossy wire, %s the guest\tMB/s\t%s\n", guest, ($1 == "S" ? "to" : "from"), $5 }' "$out/servers.lossy.tsv"
}

programs=()
for part in $parts; do "prepare_$part"; done
linux_initramfs "${programs[@]}" > /dev/null
make_network

: > "$out/servers.tsv"
for part in $parts; do
    if [ "$part" = lossy ]; then
        # Frames as on a wire: no offloads on the tap.
        inside ip link del tap0
        make_tap
        ip netns exec "$space" "$out/relay" tap0 7001 7002 loss=20 double=10 reorder=20 delay=20 seed=7 2> "$out/servers.relay.log" &
        wire=$!
    fi
    for ((round = 1; round <= rounds; round++)); do
        for kind in linux eremite; do
            say "$part: round $round of $rounds on $kind"
            "start_$part" "$kind" "$out/servers.$kind.log"
            "measure_$part" "$kind" >> "$out/servers.tsv"
            end_machine
        done
    done
done

awk -f "$bench/median.awk" -f "$bench/servers_table.awk" "$out/servers.tsv" | tee "$out/servers.md"

if [ $docs = yes ]; then
    {
        printf '# Servers: Eremite beside a Linux guest\n\n'
        printf 'Made by `./eremite bench servers --docs`: %s rounds of alternating boots under emulation (TCG), the same machine, memory,\n' "$rounds"
        printf 'virtio features and clients; medians with half the range. The programs in the Linux guest are the distribution'"'"'s. The lossy\n'
        printf 'wire loses 2 %% of the frames, doubles 1 %%, reorders 2 %% and takes 20 ms each way, the same for both.\n\n'
        cat "$out/servers.md"
    } > "$EREMITE_ROOT/docs/server-performance.md"
    say "wrote docs/server-performance.md"
fi
