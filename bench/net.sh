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
source "$EREMITE_ROOT/bench/network.sh"

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

make_network
port=7000

clang-19 -O2 "$bench/programs/netbench.c" -o "$out/netbench"
if [[ $guests == *eremite* ]]; then
    "$EREMITE" build --arch x86_64 "$bench/programs/netbench.c" > "$out/net.build.log" 2>&1 || die "see $out/net.build.log"
fi
if [[ $guests == *linux* ]]; then
    linux_program netbench
    linux_initramfs "$out/linux/netbench" > /dev/null
fi

# start GUEST CONSOLE [QEMU-ARGUMENTS]: netbench's server, or the floor.
start() {
    if [ "$1" = floor ]; then
        start_guest floor "$2" "$bench/floor"
    else
        start_guest "$1" "$2" "$bench/programs/netbench.c" "serve $port" "${3:-}"
    fi
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
awk -f "$bench/median.awk" -f "$bench/net_table.awk" -v svg="$out/net.svg" -v json="$out/net.json" "$out/net.tsv" | tee "$out/net.wall.md"
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
