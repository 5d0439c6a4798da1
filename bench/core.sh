#!/usr/bin/env bash
# What the kernel's core costs per operation, in guest instructions, beside the Linux guest running the same program.
#   ./eremite bench core [--scale N] [--ours]        N: run 1/N of the repetitions; --ours: without the Linux guest
set -euo pipefail
source "$EREMITE_ROOT/bench/common.sh"

scale=1
linux=yes
while [ $# -gt 0 ]; do
    case $1 in
    --scale) scale=$2; shift ;;
    --ours) linux=no ;;
    *) die "core: unknown option $1: --scale N, --ours" ;;
    esac
    shift
done

counter=$(plugin)
say "running on Eremite"
eremite_run "$bench/programs/core.c" "$scale" --qemu-args "-plugin $counter,out=$out/core.marks" > "$out/core.log" \
    || die "the program failed: $(tail -3 "$out/core.log")"
per_case "$out/core.marks" "$out/core.log" > "$out/core.ours"
: > "$out/core.linux"
if [ $linux = yes ]; then
    [ "${ARCH:-x86_64}" = x86_64 ] || die "the Linux guest is x86_64 only: add --ours"
    linux_program core
    linux_initramfs "$out/linux/core" > /dev/null
    say "running on Linux"
    linux_run "eb.run=core eb.args=$scale" -nic none -plugin "$counter,out=$out/core.linux.marks" > "$out/core.linux.log"
    grep -q GUEST-DONE "$out/core.linux.log" || die "the Linux guest failed: $(tail -3 "$out/core.linux.log")"
    per_case "$out/core.linux.marks" "$out/core.linux.log" > "$out/core.linux"
fi
ratio_table "$out/core.ours" "$out/core.linux"
printf '{"eremite": %s, "linux": %s}\n' "$(as_json "$out/core.ours")" "$(as_json "$out/core.linux")" > "$out/core.json"
say "figures in $out/core.json"
