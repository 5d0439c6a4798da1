#!/usr/bin/env bash
# Bandwidth and round trips by message size, the Linux guest and Eremite side by side: the same program (netbench), machine,
# memory, virtio features and tap, in a network namespace made for it; boots alternate, medians with spread are shown. Beside
# both the floor (bench/floor): an image of ours without a stack, whose driver reflects UDP. Also what TCP/IP adds to an image.
#   ./eremite bench net [--rounds N] [--seconds S] [--count-only | --wall-only | --size-only] [--ours | --theirs] [--docs]
#     [--bytes N]
# --bytes: messages of that size alone, in the counts; --count-only: only the exact instruction counts; --wall-only: only times; --size-only: only what TCP/IP adds to an image;
# --ours, --theirs: one guest alone; --docs: writes docs/network-performance.md and its plot.
set -euo pipefail
source "$EREMITE_ROOT/bench/common.sh"

rounds=7
seconds=0.3
count=yes
wall=yes
docs=no
guests="linux eremite"
bytes=
while [ $# -gt 0 ]; do
    case $1 in
    --rounds) rounds=$2; shift ;;
    --seconds) seconds=$2; shift ;;
    --count-only) wall=no ;;
    --wall-only) count=no ;;
    --size-only) wall=no count=no ;;
    --docs) docs=yes ;;
    --bytes) bytes=$2; shift ;;
    --ours) guests=eremite ;;
    --theirs) guests=linux ;;
    *) die "net: unknown option $1: --rounds N, --seconds S, --count-only, --wall-only, --size-only, --ours, --theirs, --docs" ;;
    esac
    shift
done

[ "$(id -u)" = 0 ] || die "net: needs root, for a network namespace of its own"
need iproute2
space=eremite-bench-$$
guest=10.99.0.2
port=7000
machine=

end_machine() {
    [ -n "$machine" ] || return 0
    kill "$machine" 2>/dev/null || true
    wait "$machine" 2>/dev/null || true
    machine=
}
cleanup() {
    end_machine
    ip netns del "$space" 2>/dev/null || true
}
trap cleanup EXIT

ip netns add "$space"
inside() { ip netns exec "$space" "$@"; }
inside ip link set lo up
inside sysctl -qw net.ipv4.tcp_congestion_control=reno 2>/dev/null || say "the host's congestion control is left as it is"
inside ip tuntap add dev tap0 mode tap vnet_hdr
inside ip addr add 10.99.0.1/24 dev tap0
inside ip link set tap0 up

clang-19 -O2 "$bench/programs/netbench.c" -o "$out/netbench"
if [[ $guests == *eremite* ]]; then
    "$EREMITE" build --arch x86_64 "$bench/programs/netbench.c" > "$out/net.build.log" 2>&1 || die "see $out/net.build.log"
fi
if [[ $guests == *linux* ]]; then
    linux_program netbench
    linux_initramfs "$out/linux/netbench" > /dev/null
fi

# start GUEST CONSOLE [QEMU-ARGUMENTS]: boots it in the background and waits for the port. On a busy machine a Linux guest now
# and then finds its timer dead and panics: then once more.
start() {
    local attempt
    for attempt in 1 2 3; do
        if boot_guest "$@"; then return; fi
        end_machine
        say "$1 does not answer on port $port: $(tail -3 "$2")"
    done
    die "$1 does not boot"
}
boot_guest() {
    local guest_kind=$1 console=$2 extra=${3:-} tries
    if [ "$guest_kind" = linux ]; then
        # shellcheck disable=SC2086 # the arguments are words
        ip netns exec "$space" timeout 900 qemu-system-x86_64 -accel tcg -M q35 -cpu max -smp 1 -m 256M -nographic -no-reboot -nodefaults \
            -serial stdio -monitor none -kernel "$(linux_kernel)" -initrd "$out/linux.cpio.gz" \
            -append "console=ttyS0 quiet panic=-1 eb.run=netbench eb.args=serve,$port eb.ip=$guest/24" \
            -netdev tap,id=n0,ifname=tap0,script=no,downscript=no,vhost=off -device virtio-net-pci,netdev=n0,romfile= $extra \
            < /dev/null > "$console" 2>&1 &
    elif [ "$guest_kind" = floor ]; then
        ip netns exec "$space" timeout 900 "$EREMITE" run --memory 256M --net tap=tap0 "$bench/floor" < /dev/null > "$console" 2>&1 &
    else
        ip netns exec "$space" timeout 900 "$EREMITE" run --memory 256M --net tap=tap0 --append "ip=$guest/24 ${eremite_append:-}" \
            ${extra:+--qemu-args "$extra"} "$bench/programs/netbench.c" serve "$port" < /dev/null > "$console" 2>&1 &
    fi
    machine=$!
    for ((tries = 0; tries < 600; tries++)); do
        if [ "$guest_kind" = floor ]; then
            if grep -q reflecting "$console"; then return 0; fi
        elif inside bash -c "exec 3<>/dev/tcp/$guest/$port" 2>/dev/null; then
            sleep 0.5
            return 0
        fi
        kill -0 "$machine" 2>/dev/null || break
        sleep 0.1
    done
    return 1
}

# What TCP/IP adds to an image, stripped: the same program with and without.
"$EREMITE" build --arch x86_64 "$bench/programs/size.c" > "$out/net.build.log" 2>&1 || die "see $out/net.build.log"
compiler=$EREMITE_ROOT/build/x86_64/sdk/bin/eremite-clang
for kind in without with; do
    options=
    [ $kind = without ] || options=-DTCP
    "$compiler" -Os $options "$bench/programs/size.c" -o "$out/size-$kind" 2> "$out/net.build.log" || die "see $out/net.build.log"
    llvm-strip-19 "$out/size-$kind"
done
added=$(($(stat -c %s "$out/size-with") - $(stat -c %s "$out/size-without")))
size_line="TCP/IP, sockets and the driver add $(((added + 1023) / 1024)) KiB to a stripped image (goal: 120)"
echo "$size_line"

if [ $count = yes ]; then
# What each message costs, exactly.
counter=$(plugin)
for kind in $guests; do
    say "counting instructions on $kind"
    eremite_append=net-poll=0 start "$kind" "$out/net.$kind.log" "-plugin $counter,rights=yes,out=$out/net.$kind.marks"
    inside timeout 300 "$out/netbench" run "$guest" "$port" -t 0.1 ${bytes:+-s "$bytes"} > "$out/net.$kind.counted"
    end_machine
    # Rounds in order: marks 16 and 17 around each, and the program's "served K SIZE N"; the last of a cell is the longest.
    awk '
        NR == FNR {
            if ($1 == "mark" && $2 == 16) start = $3
            if ($1 == "mark" && $2 == 17) used[++n] = $3 - start
            next
        }
        { sub(/\r$/, "") }
        $1 == "served" { cell[$2 " " $3] = used[++m] / $4 }
        END { for (c in cell) printf "%s %.0f\n", c, cell[c] }' "$out/net.$kind.marks" "$out/net.$kind.log" \
        | sort -k1,1 -k2,2n > "$out/net.$kind.instructions"
done

cell_names() { printf 'P round trip\nS to the guest\nR from the guest\n'; }
{
printf '\nGuest instructions per message\n\n'
printf '| | size | Linux guest | Eremite | times fewer |\n|---|---:|---:|---:|---:|\n'
cell_names | while read -r key name; do
    awk -v key="$key" -v name="$name" '
        NR == FNR { linux[$1 " " $2] = $3; next }
        $1 == key {
            l = linux[$1 " " $2]
            printf "| %s | %s | %s | %s | %s |\n", name, $2, l == "" ? "-" : l, $3, l == "" || $3 == 0 ? "-" : sprintf("%.1f", l / $3)
        }' <(cat "$out/net.linux.instructions" 2>/dev/null) <(cat "$out/net.eremite.instructions" 2>/dev/null)
done
} | tee "$out/net.counts.md"
fi

[ $wall = yes ] || exit 0

# Wall time, alternating boots.
if [[ $guests == *eremite* ]]; then
    "$EREMITE" build --arch x86_64 "$bench/floor" > "$out/net.build.log" 2>&1 || die "see $out/net.build.log"
    guests="$guests floor"
fi
: > "$out/net.tsv"
for ((round = 1; round <= rounds; round++)); do
    for kind in $guests; do
        say "round $round of $rounds on $kind"
        start "$kind" "$out/net.$kind.log"
        if [ "$kind" = floor ]; then
            inside timeout 60 "$out/netbench" ping "$guest" "$port" -t "$seconds" -l floor >> "$out/net.tsv"
        else
            inside timeout 600 "$out/netbench" run "$guest" "$port" -t "$seconds" -l "$kind" >> "$out/net.tsv"
        fi
        end_machine
    done
done
awk -f "$bench/net_table.awk" -v svg="$out/net.svg" -v json="$out/net.json" "$out/net.tsv" | tee "$out/net.wall.md"
say "plot in $out/net.svg, figures in $out/net.json"

if [ $docs = yes ]; then
    cp "$out/net.svg" "$EREMITE_ROOT/docs/network-performance.svg"
    {
        printf '# Network: Eremite beside a Linux guest\n\n'
        printf 'Made by `./eremite bench net --docs`: %s rounds of alternating boots under emulation (TCG), the same machine,\n' "$rounds"
        printf 'memory, virtio features, tap and client; medians with half the range. Wall times of small messages vary with how\n'
        printf 'many of them meet in a segment; instruction counts (with polling off) are exact for a run. A spread of tens of per\n'
        printf 'cent means that other programs ran beside the measurement.\n\n'
        printf '![Bandwidth by message size](network-performance.svg)\n\n%s.\n' "$size_line"
        cat "$out/net.counts.md" "$out/net.wall.md"
    } > "$EREMITE_ROOT/docs/network-performance.md"
    say "wrote docs/network-performance.md"
fi
