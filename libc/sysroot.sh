#!/usr/bin/env bash
# sysroot.sh ARCH: prints the path of the sysroot for ARCH (x86_64 or aarch64), building it where it is not there.
#
# A sysroot holds musl and libc++ (with libc++abi and libunwind) made for Eremite, compiler-rt's builtins, Linux's UAPI
# headers and, in kernel-include/, the copy of libc++'s headers that the kernel compiles against. It lies in the cache,
# in a folder named by the hash of its recipe, appears there only when it is complete, and is never changed afterwards.
# The path is the last line on stdout; progress goes to stderr.
set -euo pipefail

libc=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tree=${libc%/*}
cache=${EREMITE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/eremite}
llvm=${EREMITE_LLVM:-/usr/lib/llvm-19}

say() { printf 'sysroot %s: %s\n' "$arch" "$*" >&2; }
fail() { say "$*"; exit 1; }

arch=${1:-}
case $arch in
x86_64 | aarch64) ;;
*) echo "usage: sysroot.sh x86_64|aarch64" >&2; exit 1 ;;
esac

syscalls() { awk -v arch="$arch" -f "$libc/musl/syscalls.awk" "$tree/kernel/syscall/table.inc"; }

# The recipe is these files and, of the kernel's table, what libc sees of it. Sources that only apps use don't count.
hash=$( (cd "$libc" && grep -E '^(musl|musl-debian|llvm|linux-'"$arch"') ' sources.txt &&
    find sysroot.sh recipe musl kernel-headers -type f | LC_ALL=C sort | xargs cat && syscalls) | sha256sum | cut -c1-12)
sysroot=$cache/sysroot-$arch-$hash
if [ -e "$sysroot/complete" ]; then
    echo "$sysroot"
    exit 0
fi

error=$(mkdir -p "$cache" 2>&1) || fail "cannot create the cache $cache: ${error##*: }"
exec 7>"$cache/.sysroot-$arch.lock" || fail "cannot write in the cache $cache"
flock -n 7 || { say "another build of it is under way: waiting"; flock 7; }
if [ -e "$sysroot/complete" ]; then
    echo "$sysroot"
    exit 0
fi

free=$(($(df -Pk "$cache" | awk 'NR == 2 { print $4 }') / 1024))
[ "$free" -ge 900 ] || fail "no space for the cache: building needs 900 MiB in $cache, $free MiB are free (EREMITE_CACHE moves it)"
for tool in "$llvm/bin/clang" "$llvm/bin/ld.lld" "$llvm/bin/llvm-ar" cmake ninja make patch dpkg-deb; do
    command -v "$tool" >/dev/null || fail "$tool is missing"
done

work=$cache/.building-$arch-$hash
rm -rf "$work"
mkdir -p "$work/sysroot/lib" "$work/sysroot/include"
log=$work/log
jobs=$(nproc)
started=$SECONDS

source "$libc/recipe/flags.sh"
# step NAME: runs the function of that name, its output in the log; says how long it took, or shows the log's end.
step() {
    local start=$SECONDS
    say "$2"
    if ! (set -euo pipefail; cd "$work"; "$1") >>"$log" 2>&1 7>&-; then
        tail -n 25 "$log" >&2
        if [ "$(df -Pk "$cache" | awk 'NR == 2 { print $4 }')" -lt 4096 ]; then fail "no space left in the cache $cache"; fi
        fail "failed in '$1' (whole log: $log)"
    fi
    say "  $((SECONDS - start)) s"
}
for recipe in headers musl runtimes join; do source "$libc/recipe/$recipe.sh"; done

sources_musl=$("$libc/fetch.sh" musl)
sources_musl_debian=$("$libc/fetch.sh" musl-debian)
sources_linux=$("$libc/fetch.sh" "linux-$arch")
sources_llvm=$("$libc/fetch.sh" llvm)

step build_musl "musl"
step install_linux_headers "Linux's headers"
step unpack_llvm "unpacking of LLVM's runtimes"
step install_kernel_headers "libc++'s headers for the kernel"
step build_string_functions "memcpy and its like"
step build_builtins "compiler-rt's builtins"
step install_libcxx "libc++, libc++abi, libunwind"
step join_libraries "joining of libc and libc++"

touch "$work/sysroot/complete"
rm -rf "$sysroot"
mv "$work/sysroot" "$sysroot"
rm -rf "$work"
say "done in $((SECONDS - started)) s"
echo "$sysroot"
