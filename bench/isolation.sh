#!/usr/bin/env bash
# What isolation costs: the core's operations at each level, in guest instructions, and modelled with WRPKRU weighed at 25
# cycles (every instruction at one): a call through the gate has two. WRPKRU empties the emulator's TLB, so wall times under
# TCG say nothing here.
#   ./eremite bench isolation [--scale N] [--levels "none stack mpk"]
set -euo pipefail
source "$EREMITE_ROOT/bench/common.sh"

scale=1
levels="none stack mpk"
while [ $# -gt 0 ]; do
    case $1 in
    --scale) scale=$2; shift ;;
    --levels) levels=$2; shift ;;
    *) die "isolation: unknown option $1: --scale N, --levels LEVELS" ;;
    esac
    shift
done
[ "${ARCH:-x86_64}" = x86_64 ] || die "isolation: protection keys are x86_64's"

counter=$(plugin)
files=()
for level in $levels; do
    say "running at $level"
    eremite_run "$bench/programs/core.c" "$scale" --isolation "$level" \
        --qemu-args "-plugin $counter,out=$out/isolation.$level.marks" > "$out/isolation.$level.log" \
        || die "the program failed: $(tail -3 "$out/isolation.$level.log")"
    per_case "$out/isolation.$level.marks" "$out/isolation.$level.log" > "$out/isolation.$level"
    files+=("$out/isolation.$level")
done

# Instructions per operation at each level; the loop's own are taken off.
awk -v levels="$levels" '
    FNR == 1 { file++ }
    { if (!($1 in seen)) { seen[$1] = 1; order[++count] = $1 } at[file, $1] = $2 }
    END {
        n = split(levels, name, " ")
        printf "%-24s", "operation"
        for (i = 1; i <= n; i++) printf "%12s", name[i]
        printf "%14s\n", "over " name[1]
        for (k = 1; k <= count; k++) {
            if (order[k] == "empty_loop") continue
            printf "%-24s", order[k]
            for (i = 1; i <= n; i++) printf "%12.1f", at[i, order[k]] - at[i, "empty_loop"]
            printf "%14.1f\n", at[n, order[k]] - at[1, order[k]]
        }
        if (name[n] == "mpk")
            printf "getppid, WRPKRU at 25 cycles: %.1f over %s\n", \
                at[n, "getppid"] - at[1, "getppid"] + 2 * 24, name[1]
    }' "${files[@]}"
