#!/usr/bin/env bash
# What files cost per operation beside the Linux guest running the same program: in memory (tmpfs), on a shared folder of the
# host (virtio-fs, the same daemon) and on a disk (virtio-blk).
#   ./eremite bench fs [--where memory|share|disk]... [--megabytes N] [--files N] [--sequential] [--ours]
# --sequential: only a file of so many megabytes (1024) written, synced and read, in a guest of half that memory (in memory: of
# more than twice as much, as a file system in memory may have half).
set -euo pipefail
source "$EREMITE_ROOT/bench/common.sh"

places=()
megabytes=
files=10000
linux=yes
while [ $# -gt 0 ]; do
    case $1 in
    --where) places+=("$2"); shift ;;
    --megabytes) megabytes=$2; shift ;;
    --files) files=$2; shift ;;
    --sequential) files=0 ;;
    --ours) linux=no ;;
    *) die "fs: unknown option $1: --where memory|share|disk, --megabytes N, --files N, --sequential, --ours" ;;
    esac
    shift
done
[ -n "$megabytes" ] || megabytes=$([ "$files" = 0 ] && echo 1024 || echo 64)
[ ${#places[@]} -gt 0 ] || places=(memory share disk)

scratch=$(mktemp -d)
daemon=
cleanup() {
    [ -z "$daemon" ] || kill "$daemon" 2>/dev/null || true
    rm -rf "$scratch"
}
trap cleanup EXIT

counter=$(plugin)
if [ $linux = yes ]; then
    linux_program fs
    linux_initramfs "$out/linux/fs" > /dev/null
fi

new_disk() {
    need e2fsprogs
    rm -f "$scratch/disk"
    truncate -s $((megabytes * 2 + 256))M "$scratch/disk"
    mkfs.ext4 -q -F "$scratch/disk"
}

for place in "${places[@]}"; do
    memory=$((megabytes * 2 + 256))M
    if [ "$files" = 0 ]; then
        [ "$place" = memory ] && memory=$((megabytes * 2 + 256))M || memory=$((megabytes / 2))M
    fi
    linux_memory=$memory
    mkdir -p "$scratch/share"
    case $place in
    memory) directory=/tmp options=() ;;
    share) directory=/mnt options=(--share "$scratch/share:/mnt") ;;
    disk) directory=/disk options=(--disk "$scratch/disk:/disk"); new_disk ;;
    *) die "fs: --where is memory, share or disk" ;;
    esac
    say "$place on Eremite"
    eremite_run "$bench/programs/fs.c" "$directory $megabytes $files" "${options[@]}" \
        --qemu-args "-plugin $counter,out=$out/fs.marks" > "$out/fs.log" || die "the program failed: $(tail -3 "$out/fs.log")"
    per_case "$out/fs.marks" "$out/fs.log" > "$out/fs.$place.ours"
    : > "$out/fs.$place.linux"
    if [ $linux = yes ]; then
        say "$place on Linux"
        append= machine=()
        case $place in
        share)
            /usr/lib/qemu/virtiofsd --socket-path="$scratch/socket" -o source="$scratch/share" -o cache=auto \
                > "$out/virtiofsd.log" 2>&1 &
            daemon=$!
            for ((i = 0; i < 100; i++)); do [ -S "$scratch/socket" ] && break; sleep 0.05; done
            append=eb.share
            machine=(-object "memory-backend-memfd,id=mem,size=$memory,share=on" -numa node,memdev=mem
                -chardev "socket,id=fs,path=$scratch/socket" -device vhost-user-fs-pci,chardev=fs,tag=share)
            ;;
        disk)
            new_disk
            append=eb.disk
            machine=(-drive "file=$scratch/disk,format=raw,if=none,id=disk" -device virtio-blk-pci,drive=disk)
            ;;
        esac
        linux_run "eb.run=fs eb.args=$directory,$megabytes,$files $append" -nic none "${machine[@]}" \
            -plugin "$counter,out=$out/fs.linux.marks" > "$out/fs.linux.log"
        grep -q 'GUEST-DONE 0' "$out/fs.linux.log" || die "the Linux guest failed: $(tail -5 "$out/fs.linux.log")"
        [ -z "$daemon" ] || { kill "$daemon" 2>/dev/null || true; wait "$daemon" 2>/dev/null || true; daemon=; }
        per_case "$out/fs.linux.marks" "$out/fs.linux.log" > "$out/fs.$place.linux"
    fi
    printf '\n%s\n\n' "$place"
    ratio_table "$out/fs.$place.ours" "$out/fs.$place.linux"
done
