#!/usr/bin/env bash
# From the kernel's first instruction to main, in guest instructions, and the size of the image: both architectures beside
# each other, for the C hello world with 64 MiB. With --memory also the least memory that it boots and prints in.
#   ./eremite bench boot [--memory] [--linux]        --linux: the Linux guest's way to init as well
set -euo pipefail
source "$EREMITE_ROOT/bench/common.sh"

least=no
linux=no
while [ $# -gt 0 ]; do
    case $1 in
    --memory) least=yes ;;
    --linux) linux=yes ;;
    *) die "boot: unknown option $1: --memory, --linux" ;;
    esac
    shift
done

counter=$(plugin)
app=$EREMITE_ROOT/examples/hello-c
declare -A size count minimum

# boots ARCH MEGABYTES: whether the program prints its line.
boots() { memory=${2}M ARCH=$1 limit=20 eremite_run "$app" '' 2>/dev/null | grep -qi hello; }

for arch in x86_64 aarch64; do
    "$EREMITE" build --arch "$arch" "$app" > "$out/boot.build.log" 2>&1 || die "hello-c does not build: see $out/boot.build.log"
    image=$(find "$EREMITE_ROOT/build/$arch/apps" -type f -name hello-c -perm -u+x -newermt '2000-01-01' -printf '%T@ %p\n' \
        | sort -n | tail -1 | cut -d' ' -f2-)
    llvm-strip-19 -o "$out/hello-c.$arch" "$image"
    size[$arch]=$(stat -c %s "$out/hello-c.$arch")
    memory=64M ARCH=$arch eremite_run "$app" '' --qemu-args "-plugin $counter,out=$out/boot.$arch.marks" > "$out/boot.log" 2>&1 \
        || die "hello-c fails on $arch: $(tail -3 "$out/boot.log")"
    count[$arch]=$(awk '$1 == "mark" { at[$2] = $3 } END { print at[2] - at[1] }' "$out/boot.$arch.marks")
    if [ $least = yes ]; then
        low=1 high=64
        while [ $((high - low)) -gt 1 ]; do
            middle=$(((low + high) / 2))
            if boots "$arch" $middle; then high=$middle; else low=$middle; fi
        done
        minimum[$arch]="$high MiB"
    fi
done

printf '| | x86_64 | aarch64 | ratio |\n|---|---:|---:|---:|\n'
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", b / a }'; }
printf '| stripped size, bytes | %s | %s | %s |\n' "${size[x86_64]}" "${size[aarch64]}" "$(ratio "${size[x86_64]}" "${size[aarch64]}")"
printf '| instructions from entry to main | %s | %s | %s |\n' "${count[x86_64]}" "${count[aarch64]}" \
    "$(ratio "${count[x86_64]}" "${count[aarch64]}")"
[ $least = no ] || printf '| least memory | %s | %s | |\n' "${minimum[x86_64]}" "${minimum[aarch64]}"

if [ $linux = yes ]; then
    printf '#include "mark.h"\nint main(void) { MARK(2); return 0; }\n' > "$out/init.c"
    need musl-tools
    mkdir -p "$out/linux"
    musl-gcc -O2 -static -I"$bench/programs" "$out/init.c" -o "$out/linux/marked"
    linux_initramfs "$out/linux/marked" > /dev/null
    linux_run eb.run=marked -nic none -plugin "$counter,out=$out/boot.linux.marks" > "$out/boot.linux.log"
    printf '\nLinux guest, from reset to the program (x86_64): %s instructions\n' \
        "$(awk '$1 == "mark" && $2 == 2 { print $3 }' "$out/boot.linux.marks")"
fi
