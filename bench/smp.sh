#!/usr/bin/env bash
# What a second processor brings, under multi-threaded TCG: a program that shares out work without waiting, and one that does
# all its work under one mutex, with one processor and with two, beside the Linux guest.
#   ./eremite bench smp [--rounds N] [--scale N] [--ours]
#
# Wall times are medians, and mean something only on a host that is otherwise idle and has two processors to spare. What each
# virtual processor executed is counted too: the greatest of these is how long the work takes on a host that has enough.
set -euo pipefail
source "$EREMITE_ROOT/bench/common.sh"

rounds=5
scale=1
linux=yes
while [ $# -gt 0 ]; do
    case $1 in
    --rounds) rounds=$2; shift ;;
    --scale) scale=$2; shift ;;
    --ours) linux=no ;;
    *) die "smp: unknown option $1: --rounds N, --scale N, --ours" ;;
    esac
    shift
done

counter=$(plugin)
if [ $linux = yes ]; then
    mkdir -p "$out/linux"
    clang++-19 -std=c++20 -O2 -static -pthread "$bench/programs/smp.cpp" -o "$out/linux/smp"
    linux_initramfs "$out/linux/smp" > /dev/null
fi

# one GUEST PROCESSORS ROUND: wall times to smp.GUEST.PROCESSORS.ROUND; round 0 counts instructions instead.
one() {
    local guest=$1 log=$out/smp.$1.$2.$3 arguments=()
    processors=$2
    if [ "$3" = 0 ]; then arguments=(-plugin "$counter,out=$log.marks,processors=yes"); fi
    if [ "$guest" = linux ]; then
        linux_run "eb.run=smp eb.args=$scale" -nic none "${arguments[@]}" > "$log"
    else
        eremite_run "$bench/programs/smp.cpp" "$scale" ${arguments[0]:+--qemu-args "${arguments[*]}"} > "$log"
    fi
    grep -q '^case 1' "$log" || die "$guest with $2 processors failed: $(tail -3 "$log")"
}

guests=eremite
[ $linux = no ] || guests="linux eremite"
for round in $(seq 0 "$rounds"); do
    for guest in $guests; do
        for processors in 1 2; do one "$guest" "$processors" "$round"; done
    done
    say "round $round of $rounds"
done

# wall GUEST PROCESSORS CASE: median over the rounds, in ns per operation.
wall() {
    for round in $(seq 1 "$rounds"); do awk -v k="$3" '$1 == "case" && $2 == k { print $5 }' "$out/smp.$1.$2.$round"; done |
        sort -n | awk '{ v[NR] = $1 } END { print NR == 0 ? "-" : v[int((NR + 1) / 2)] }'
}
# busiest GUEST PROCESSORS CASE: instructions of the processor that executed most, per operation.
busiest() {
    awk -v k="$3" '
        NR == FNR { if ($1 == "mark") for (i = 4; i <= NF; i++) { at[$2, i] = $i; if (i > last) last = i } next }
        $1 == "case" && $2 == k {
            for (i = 4; i <= last; i++) { n = at[2 * k + 33, i] - at[2 * k + 32, i]; if (n > most) most = n }
            printf "%.1f\n", most / $4
        }' "$out/smp.$1.$2.0.marks" "$out/smp.$1.$2.0"
}

echo "| guest | case | instructions, 1 processor | busiest of 2 | times fewer | wall ns, 1 | 2 | times faster |"
echo "|---|---|---:|---:|---:|---:|---:|---:|"
for guest in $guests; do
    for k in 0 1; do
        name=parallel
        [ $k = 0 ] || name=mutex
        echo "$guest $name $(busiest $guest 1 $k) $(busiest $guest 2 $k) $(wall $guest 1 $k) $(wall $guest 2 $k)"
    done
done | tee "$out/smp.figures" | awk '{
    printf "| %s | %s | %.0f | %.0f | %.2f | %.0f | %.0f | %s |\n", $1, $2, $3, $4, $3 / $4, $5, $6, ($6 > 0 ? sprintf("%.2f", $5 / $6) : "-") }'
awk 'BEGIN { printf "{" } {
    printf "%s\"%s_%s\": {\"instructions\": [%s, %s], \"nanoseconds\": [%s, %s]}", (NR > 1 ? ", " : ""), $1, $2, $3, $4, ($5 == "-" ? "null" : $5), ($6 == "-" ? "null" : $6)
} END { print "}" }' "$out/smp.figures" > "$out/smp.json"
say "figures in $out/smp.json"
