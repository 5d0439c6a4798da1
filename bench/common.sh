# What the benchmarks share: the instruction counter, the Linux guest beside us, and tables. Sourced by bench/NAME.sh, which
# `./eremite bench NAME` runs with EREMITE, EREMITE_ROOT and ARCH set.
#
# Instruction counts are exact and repeat; wall times under emulation are not and are shown as medians.

bench=$EREMITE_ROOT/bench
out=$EREMITE_ROOT/build/bench
mkdir -p "$out"
linux_memory=256M

say() { printf 'bench: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# need PACKAGE...: installs what is missing.
need() {
    local missing=() package
    for package in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return
    say "installing ${missing[*]}"
    local as_root=()
    [ "$(id -u)" = 0 ] || as_root=(sudo)
    DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y --no-install-recommends "${missing[@]}" \
        > "$out/apt.log" 2>&1 || die "cannot install ${missing[*]}: see $out/apt.log"
}

# The instruction counter, built when its source is newer.
plugin() {
    if [ ! "$out/insn_count.so" -nt "$bench/plugin/insn_count.c" ]; then
        clang-19 -O2 -fPIC -shared -Wall -Wextra -Werror "$bench/plugin/insn_count.c" -o "$out/insn_count.so"
    fi
    echo "$out/insn_count.so"
}

# linux_program NAME: bench/programs/NAME.c for the Linux guest, static with musl, at $out/linux/NAME.
linux_program() {
    need musl-tools linux-libc-dev
    mkdir -p "$out/linux" "$out/uapi"
    ln -sfn /usr/include/linux "$out/uapi/linux"
    ln -sfn /usr/include/asm-generic "$out/uapi/asm-generic"
    ln -sfn "/usr/include/$(uname -m)-linux-gnu/asm" "$out/uapi/asm"
    musl-gcc -O2 -static -idirafter "$out/uapi" "$bench/programs/$1.c" -o "$out/linux/$1"
}

# linux_initramfs PROGRAM...: with these programs; prints its path.
linux_initramfs() {
    need busybox-static linux-image-cloud-amd64 cpio
    "$bench/linux/initramfs.sh" "$out/linux.cpio.gz" "$@"
    echo "$out/linux.cpio.gz"
}

linux_kernel() { ls /boot/vmlinuz-*-cloud-amd64 | sort -V | tail -1; }

# linux_run 'KERNEL OPTIONS' QEMU-ARGUMENTS...: the Linux guest, console on standard output.
linux_run() {
    local append=$1
    shift
    timeout "${limit:-600}" qemu-system-x86_64 -accel tcg -M q35 -cpu max -smp "${processors:-1}" -m "$linux_memory" \
        -nographic -no-reboot -nodefaults -serial stdio -monitor none -kernel "$(linux_kernel)" -initrd "$out/linux.cpio.gz" \
        -append "console=ttyS0 quiet panic=-1 $append" "$@" < /dev/null | tr -d '\r'
}

# eremite_run PROGRAM 'ARGUMENTS' OPTIONS...: our guest, the same machine.
eremite_run() {
    local program=$1 arguments=$2
    shift 2
    # shellcheck disable=SC2086 # the arguments are words
    timeout "${limit:-600}" "$EREMITE" run --arch "${ARCH:-x86_64}" --memory "${memory:-256M}" --smp "${processors:-1}" "$@" \
        "$program" $arguments < /dev/null | tr -d '\r'
}

# per_case MARKS LOG: joins the counter's marks with the program's "case K NAME N NS" lines:
# one line "NAME INSTRUCTIONS NANOSECONDS" per case, per operation.
per_case() {
    awk '
        NR == FNR { if ($1 == "mark") { at[$2] = $3 } next }
        $1 == "case" && (2 * $2 + 33) in at {
            printf "%s %.1f %.1f\n", $3, (at[2 * $2 + 33] - at[2 * $2 + 32]) / $4, $5
        }' "$1" "$2"
}

# ratio_table OURS LINUX: two files of "NAME INSTRUCTIONS NANOSECONDS", as a Markdown table of instructions with ratios.
ratio_table() {
    awk '
        BEGIN {
            print "| operation | Linux guest | Eremite | times fewer | wall ns, Linux | Eremite |"
            print "|---|---:|---:|---:|---:|---:|"
        }
        FILENAME == ARGV[1] { instructions[$1] = $2; wall[$1] = $3; next }
        {
            ours = $2; ns = $3; linux = instructions[$1]
            printf "| %s | %s | %.0f | %s | %s | %.0f |\n", $1, (linux == "" ? "-" : sprintf("%.0f", linux)), ours,
                (linux == "" || ours == 0 ? "-" : sprintf("%.1f", linux / ours)), (wall[$1] == "" ? "-" : sprintf("%.0f", wall[$1])), ns
        }' "$2" "$1"
}

# as_json FILE: "NAME INSTRUCTIONS NANOSECONDS" lines as one object.
as_json() {
    awk 'BEGIN { printf "{" } { printf "%s\"%s\": {\"instructions\": %s, \"nanoseconds\": %s}", (NR > 1 ? ", " : ""), $1, $2, $3 } END { print "}" }' "$1"
}
