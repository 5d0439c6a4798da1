#!/usr/bin/env bash
# What isolation costs, at each level, in guest instructions, and modelled: an instruction is a cycle, WRPKRU 25. (It empties
# the emulator's TLB, so wall times under TCG say nothing here.) The core's operations; messages of 64 bytes (netbench); a
# GET of Redis.
#   ./eremite bench isolation [--scale N] [--levels "none stack mpk"] [--parts "core net redis"] [--docs]
# --docs: writes docs/isolation-costs.md.
set -euo pipefail
source "$EREMITE_ROOT/bench/common.sh"

scale=1
levels="none stack mpk"
parts="core net redis"
docs=no
while [ $# -gt 0 ]; do
    case $1 in
    --scale) scale=$2; shift ;;
    --levels) levels=$2; shift ;;
    --parts) parts=$2; shift ;;
    --docs) docs=yes ;;
    *) die "isolation: unknown option $1: --scale N, --levels LEVELS, --parts PARTS, --docs" ;;
    esac
    shift
done
[ "${ARCH:-x86_64}" = x86_64 ] || die "isolation: protection keys are x86_64's"
counter=$(plugin)

# Each part leaves $out/isolation.PART.LEVEL: lines "NAME INSTRUCTIONS WRPKRUS", per operation.

core_at() {
    local level=$1 made=$out/isolation.core.$1
    eremite_run "$bench/programs/core.c" "$scale" --isolation "$level" \
        --qemu-args "-plugin $counter,rights=yes,out=$made.marks" > "$made.log" ||
        die "the program failed: $(tail -3 "$made.log")"
    awk '
        NR == FNR {
            if ($1 == "mark") { number = $2; at[number] = $3 }
            if ($1 == "total") number = "end"
            if ($1 == "rights") rights[number] = $2
            next
        }
        $1 == "case" && (2 * $2 + 33) in at {
            first = 2 * $2 + 32
            instructions = (at[first + 1] - at[first]) / $4
            changes = (rights[first + 1] - rights[first]) / $4
            # The loop is not the operation.
            if ($3 == "empty_loop") loop = instructions
            else printf "%s %.1f %.2f\n", $3, instructions - loop, changes
        }' "$made.marks" "$made.log" > "$made"
}

net_at() {
    local level=$1 made=$out/isolation.net.$1
    EREMITE_ISOLATION=$level "$EREMITE" bench net --ours --count-only --bytes 64 > "$made.log" 2>&1 ||
        die "netbench failed: $(tail -3 "$made.log")"
    # Rounds in order: marks 16 and 17 around each; the last of a kind is the longest.
    awk '
        NR == FNR {
            if ($1 == "mark") { number = $2; count = $3 }
            if ($1 == "total") number = "end"
            if ($1 == "rights" && number == 16) { start = count; changes = $2 }
            if ($1 == "rights" && number == 17) { used[++n] = count - start; changed[n] = $2 - changes }
            next
        }
        { sub(/\r$/, "") }
        $1 == "served" { ++m; cell[$2] = sprintf("%.1f %.2f", used[m] / $4, changed[m] / $4) }
        END {
            print "round_trip_64", cell["P"]
            print "to_the_guest_64", cell["S"]
            print "from_the_guest_64", cell["R"]
        }' "$out/net.eremite.marks" "$out/net.eremite.log" > "$made"
}

# Two runs that differ in the number of requests alone.
redis_at() {
    local level=$1 made=$out/isolation.redis.$1 requests
    need redis-tools iproute2
    "$EREMITE" build --isolation "$level" redis > "$made.log" 2>&1 || die "redis does not build: $(tail -3 "$made.log")"
    for requests in 1000 4000; do
        # shellcheck disable=SC2016 # for the inner shell
        EREMITE="$EREMITE" level=$level counter=$counter made=$made requests=$requests unshare --net bash -euc '
            ip link set lo up
            ip tuntap add dev tap0 mode tap vnet_hdr
            ip addr add 10.0.0.1/24 dev tap0
            ip link set tap0 up
            "$EREMITE" run --isolation "$level" --memory 128M --net tap=tap0 --timeout 300 --append "ip=10.0.0.2/24 net-poll=0" \
                --qemu-args "-plugin $counter,rights=yes,out=$made.$requests.marks" \
                redis --save "" --hz 1 --protected-mode no < /dev/null > "$made.console" 2>&1 &
            for ((i = 0; i < 600; i++)); do
                if grep -q "Ready to accept connections" "$made.console"; then break; fi
                sleep 0.2
            done
            redis-cli -h 10.0.0.2 set key value > /dev/null
            # Whatever the client asks for, its requests are these.
            redis-benchmark -h 10.0.0.2 -c 1 -n "$requests" -q get key > /dev/null
            redis-cli -h 10.0.0.2 shutdown nosave > /dev/null || true
            wait' || die "redis failed: $(tail -3 "$made.console")"
    done
    awk '
        $1 == "total" { total[FILENAME] = $2; last = 1; order[++n] = FILENAME }
        $1 == "rights" && last { rights[FILENAME] = $2 }
        END {
            a = order[1]; b = order[2]
            printf "redis_get %.1f %.2f\n", (total[b] - total[a]) / 3000, (rights[b] - rights[a]) / 3000
        }' "$made.1000.marks" "$made.4000.marks" > "$made"
}

for level in $levels; do
    : > "$out/isolation.$level"
    for part in $parts; do
        say "running $part at $level"
        "${part}_at" "$level"
        cat "$out/isolation.$part.$level" >> "$out/isolation.$level"
    done
done

files=()
for level in $levels; do files+=("$out/isolation.$level"); done
# Overheads are the last level's over the first's.
awk -v levels="$levels" '
    FNR == 1 { file++ }
    {
        if (!($1 in seen)) { seen[$1] = 1; order[++count] = $1 }
        at[file, $1] = $2
        changes[file, $1] = $3
    }
    END {
        n = split(levels, name, " ")
        printf "| operation |"
        for (i = 1; i <= n; i++) printf " %s |", name[i]
        printf " over %s | WRPKRUs | modelled | overhead |\n|---|", name[1]
        for (i = 1; i <= n + 4; i++) printf "---:|"
        printf "\n"
        for (k = 1; k <= count; k++) {
            o = order[k]
            printf "| `%s` |", o
            for (i = 1; i <= n; i++) printf " %.0f |", at[i, o]
            base = at[1, o] + 24 * changes[1, o]
            cycles = at[n, o] + 24 * changes[n, o]
            printf " %.0f | %.1f | %.0f | %s |\n", at[n, o] - at[1, o], changes[n, o], cycles,
                (base > 0 ? sprintf("%.1f %%", 100 * (cycles - base) / base) : "-")
        }
    }' "${files[@]}" | tee "$out/isolation.md"

if [ $docs = yes ]; then
    {
        printf '# What isolation costs\n\n'
        printf 'Made by `./eremite bench isolation --docs`: instructions of the guest, exactly, per operation, message or request, at each\n'
        printf 'level. The model: an instruction is a cycle, and WRPKRU 25 (of which a call through a gate has two). WRPKRU empties the\n'
        printf 'TLB of the emulator, so that wall times under emulation say nothing of it.\n\n'
        cat "$out/isolation.md"
        printf '\nFor comparison: the authors of a unikernel with protection keys between the parts of a program (Sung, Olivier, Lankes,\n'
        printf 'Ravindran: *Intra-Unikernel Isolation with Intel Memory Protection Keys*, VEE 2020) measured 0.6 %% on average over whole\n'
        printf 'programs, most of whose work is not system calls.\n'
    } > "$EREMITE_ROOT/docs/isolation-costs.md"
    say "wrote docs/isolation-costs.md"
fi
